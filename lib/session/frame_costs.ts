import type { RawFrame } from "../wire/codec.ts";
import { frameRow } from "../wire/frames.ts";

/** A DATA frame of fewer bytes is a crumb: it costs more than it brings. */
export const CRUMB = 4 * 1024;
/** A request, in units of FrameShares: small when only requests are about, more while it would hold up transfers. */
const REQUEST = { alone: 5, amidTransfers: 100 };
/** What is given back of that once it was answered; not where it failed, was cancelled, or waits for a peer that does not read. */
export const GIVEN_BACK = 80;
/** A CANCEL: the request before it was begun for nothing. */
const CANCEL = 20;
/** Bytes that come out of a compressed frame are counted where they are more than so many times what it brought. */
const HONEST_RATIO = 16;
/** Bytes unpacked that cost a unit. */
const UNPACKED = 1024;
/** A read that brings fewer bytes costs a unit: waking up for it is most of the work. */
export const TINY_READ = 512;
/** A read whose bytes nobody looks at. */
export const WASTE = 10;

/** What a frame costs the server, in units of FrameShares. `othersMove`: whether transfers of other sessions move. */
export function frameCost(frame: RawFrame, othersMove: () => boolean): number {
  const { name, payload, packed } = frame;
  const bomb = packed !== undefined && payload.length > packed * HONEST_RATIO;
  const unpacked = bomb ? Math.ceil(payload.length / UNPACKED) : 0;
  if (name === "DATA") return unpacked + (payload.length < CRUMB ? 1 : 0);
  if (frameRow(name).on === "opens") return unpacked + (othersMove() ? REQUEST.amidTransfers : REQUEST.alone);
  return unpacked + (name === "CANCEL" ? CANCEL : 1);
}
