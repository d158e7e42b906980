import type { RawFrame } from "../wire/codec.ts";
import { frameRow } from "../wire/frames.ts";

/** A DATA frame of fewer bytes is a crumb: it costs more than it brings. */
export const CRUMB = 4 * 1024;
/** Whom a session might hold up: large transfers of others, many others who ask for something, or a few. */
export type Company = "large transfers" | "many" | "few";
/** More sessions that ask for something are many. */
export const FEW = 8;
/**
 * A request, in units of FrameShares: about its work while it would hold up large transfers, next to nothing among a few
 * who only ask as well, as they take turns anyhow and there is nobody to keep time for.
 */
const REQUEST: Readonly<Record<Company, number>> = { "large transfers": 20, many: 5, few: 1 };
/** Not among a few: and more for each that it has unanswered beyond so many, up to a most; who reads no answers needs none. */
const UNANSWERED = { free: 16, each: 2, most: 200 };
/** A request that was cancelled or refused: it was begun for nothing, and took most of a millisecond. */
export const IN_VAIN = 250;
/** Bytes that come out of a compressed frame are counted where they are more than so many times what it brought. */
const HONEST_RATIO = 16;
/** Bytes unpacked that cost a unit. */
const UNPACKED = 1024;
/** A read that brings fewer bytes costs a unit: waking up for it is most of the work. */
export const TINY_READ = 512;
/** A read whose bytes nobody looks at. */
export const WASTE = 10;

export interface CostOptions {
  /** Requests of the session that are being served. */
  readonly unanswered: number;
  /** The session's last answer was a refusal, which the next one will be, too, most likely. */
  readonly refused: boolean;
  readonly company: () => Company;
}

/** What a frame costs the server, in units of FrameShares. */
export function frameCost(frame: RawFrame, { unanswered, refused, company }: CostOptions): number {
  const { name, payload, packed } = frame;
  const bomb = packed !== undefined && payload.length > packed * HONEST_RATIO;
  const unpacked = bomb ? Math.ceil(payload.length / UNPACKED) : 0;
  if (name === "DATA") return unpacked + (payload.length < CRUMB ? 1 : 0);
  if (frameRow(name).on === "opens") {
    const others = company();
    const cost = unpacked + (refused ? IN_VAIN : 0) + REQUEST[others];
    if (others === "few") return cost;
    return cost + Math.min(UNANSWERED.most, UNANSWERED.each * Math.max(0, unanswered - UNANSWERED.free));
  }
  return unpacked + (name === "CANCEL" ? IN_VAIN : 1);
}
