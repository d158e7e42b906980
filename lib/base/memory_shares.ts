import type { FshError } from "./errors.ts";

const KIB = 1024;

/** What a session costs that does nothing or little: its objects, a small receive buffer, a few requests. In bytes. */
export const SESSION_SHARE = 48 * KIB;
/** Requests at once that a session's share is for. */
export const SHARED_REQUESTS = 10;
/** What a request costs beside its buffers: the stream, the command's objects. In bytes. */
export const REQUEST = 4 * KIB;
/**
 * With a seat a session can do whatever there is to do, if slowly: receive frames of up to 96 KiB (the buffer, and a copy
 * where nobody takes them yet), and answer one request for small files, or several for others. In bytes.
 */
export const SEAT = 528 * KIB;
/** Whoever an account is for. */
export interface Holder {
  /** Since when a peer has kept this one from going on and giving memory back; null: it is not the peer's doing. */
  waitsSince(): number | null;
  /** Others need the memory. */
  evict(error: FshError): void;
}

/** Memory that was granted; to be released once. */
export interface Lease extends Disposable {
  readonly bytes: number;
  release(): void;
}

/** Where memory is taken from. */
export type Pool = "shares" | "seat" | "extra";
