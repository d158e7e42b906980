import type { DigestAlgorithm } from "../base/digest.ts";
import type { RateLimiter } from "../base/rate_limiter.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { Storage } from "../storage/storage.ts";
import type { Priority } from "../session/command.ts";
import type { CompressMode } from "../wire/compression.ts";
import type { NameLimit } from "./name_limit.ts";
import type { Selection } from "./selection.ts";
import { ERRORS, FshError, isError, toFshError } from "../base/errors.ts";

export const LINK_MODES = ["skip", "copy", "follow"] as const;
export type LinkMode = typeof LINK_MODES[number];

/** A place on this side: a storage and a path in it. */
export interface LocalPlace {
  readonly storage: Storage;
  readonly path: SafePath;
}

/** What a transfer tells while it runs. */
export interface TransferEvents {
  /** A file begins; `size` is null where it is not known. */
  begin(path: string, size: number | null): void;
  /** Bytes of a file moved since the last call. */
  moved(path: string, bytes: number): void;
  /** `offset` bytes were there already: they agree and count, or all begins anew. */
  resumed(path: string, offset: number, agrees: boolean): void;
  /** A file is in place. */
  done(path: string): void;
  /** Would be moved, if this were not a rehearsal. */
  planned(path: string, size: number): void;
  /** Was there already as it should be. */
  unchanged(path: string): void;
  /** Left out, and why: a symbolic link, a special file. */
  skipped(path: string, why: string): void;
  /** One of several failed; the others go on. */
  failed(path: string, error: FshError): void;
}

export interface TransferOptions {
  readonly events: TransferEvents;
  readonly signal?: AbortSignal | undefined;
  readonly algorithm?: DigestAlgorithm | undefined;
  /** Holds all transfers that share it to a rate. */
  readonly limiter?: RateLimiter | undefined;
  readonly priority?: Priority | undefined;
  readonly compress?: CompressMode | undefined;
  /** Refuse rather than replace. */
  readonly noReplace?: boolean;
  /** With `noReplace`, for gets: replace all the same what an unfinished copy lies beside that is gone on with. */
  readonly replaceContinued?: boolean;
  /** With `noReplace`, for gets: asks whether what has this path here may be replaced. */
  readonly mayReplace?: ((path: string) => Promise<boolean>) | undefined;
  /** Keep permission bits. */
  readonly preserve?: boolean;
  /** Go on where an interrupted transfer stopped. */
  readonly continue?: boolean;
  /** Pass over files whose size and modification time agree already. */
  readonly update?: boolean;
  /** What becomes of symbolic links in a tree: left out with a line, made again, or what they lead to taken instead. */
  readonly links?: LinkMode;
  /** With `update`: compare by this digest rather than by time. */
  readonly compareBy?: DigestAlgorithm | undefined;
  /** Of a tree, only this. */
  readonly selection?: Selection;
  /** Names that listings may have, in all. */
  readonly names?: NameLimit;
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean;
}

/** Files of a tree that are under way at once: many small ones, so that none waits a round trip for another. */
export const FILES_AT_ONCE = 256;
/** Bytes of files that are under way at once; more large files would only take turns. */
export const BYTES_AT_ONCE = 32 * 1024 * 1024;

/** One file's failure goes to the events, so that the others go on; a lost connection or Ctrl-C ends them all. */
export async function oneOfSeveral(path: string, events: TransferEvents, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const error = toFshError(thrown);
    if (endsAll(error)) throw error;
    events.failed(path, error);
  }
}

/** Whether no other file can be moved after this, either: a lost connection, a session that broke, Ctrl-C. */
export function endsAll(error: FshError): boolean {
  return ERRORS[error.error].exit === 3 || isError(error, "INTERRUPTED", "BAD_CRC", "BAD_COMPRESSION");
}

/** Whether a new connection may do better. */
export function worthAnotherConnection(error: FshError): boolean {
  return error.retryable && error.error !== "INTERRUPTED" && endsAll(error);
}

/**
 * Whether what is there is the same as what would be moved: by size and time, or, where `compare` is given, by size and
 * what that says.
 */
export async function isSame(a: FileState, b: FileState, compare?: () => Promise<boolean>): Promise<boolean> {
  if (!compare) return sameFile(a, b);
  return a.type === "file" && b.type === "file" && a.size === b.size && await compare();
}

/** Whether two descriptions are of the same state of a file, as far as size and time tell. */
function sameFile(a: FileState, b: FileState): boolean {
  return a.type === b.type && a.size === b.size && a.modified !== null && a.modified === b.modified;
}

/** What tells whether a file has changed. */
export interface FileState {
  readonly type: string;
  readonly size: number;
  readonly modified: number | null;
}
