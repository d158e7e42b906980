import { ERRORS, FshError } from "../../lib/base/errors.ts";
import { equalBytes } from "../../lib/base/bytes.ts";
import { checkHeader, decodeMessage, encodeMessage, type RawFrame } from "../../lib/wire/codec.ts";
import { HEADER_BYTES, MAX_DATA, type Phase, type Role } from "../../lib/wire/frames.ts";
import { Splitter } from "../../lib/wire/splitter.ts";
import { Random } from "../support/random.ts";
import { makeSequence, pickPhase } from "./sequence.ts";

/** The most that a splitter may hold: two of the largest frames. */
const MOST = 2 * (HEADER_BYTES + MAX_DATA);

/** What became of the sequences: how many of each error, and how many frames were taken. */
export interface Tally {
  frames: number;
  readonly errors: Map<string, number>;
}

/** Feeds sequences to splitter and codec; a splitter serves as long as its bytes are frames. */
export class CodecTarget {
  readonly tally: Tally = { frames: 0, errors: new Map() };
  #splitter: Splitter | null = null;
  #from: Role = "client";
  #phase: Phase = "ready";

  /** Throws where anything but an error of the table comes out, or too much memory is held. */
  run(seed: number): void {
    const random = new Random(seed);
    this.#from = random.chance(50) ? "client" : "server";
    this.#phase = pickPhase(random);
    const { bytes, chunk } = makeSequence(random);
    const splitter = this.#splitter ??= new Splitter((header) => checkHeader(header, this.#from, this.#phase));
    try {
      this.#feed(splitter, bytes, chunk, random.chance(20));
      if (splitter.pending > 0) this.#splitter = null;
    } catch (error) {
      this.#splitter = null;
      this.#judge(error);
    }
    if (splitter.capacity > MOST) throw new Error(`the splitter holds ${splitter.capacity} bytes`);
  }

  #feed(splitter: Splitter, bytes: Uint8Array, chunk: number, again: boolean): void {
    for (let at = 0; at < bytes.length;) {
      const space = splitter.space();
      if (space.length === 0) throw new Error("no room to read into");
      const some = Math.min(chunk, space.length, bytes.length - at);
      space.set(bytes.subarray(at, at + some));
      splitter.filled(some);
      at += some;
      for (let frame; (frame = splitter.next()) !== null;) {
        this.tally.frames++;
        if (frame.name !== "DATA") inspect(frame, again);
      }
    }
  }

  #judge(error: unknown): void {
    if (!(error instanceof FshError) || !Object.hasOwn(ERRORS, error.error) || error.error === "INTERNAL") throw error;
    this.tally.errors.set(error.error, (this.tally.errors.get(error.error) ?? 0) + 1);
  }
}

/** A frame that is taken must be the one that its fields make: there is one way to write it. */
function inspect(frame: RawFrame, again: boolean): void {
  const message = decodeMessage(frame);
  if (!again) return;
  const encoded = encodeMessage(message.name, message.stream, message.fields, message.fin);
  if (!equalBytes(encoded.subarray(HEADER_BYTES), frame.payload)) {
    throw new Error(`${message.name} was taken and reads differently: ${JSON.stringify(message.fields)}`);
  }
}
