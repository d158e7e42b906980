import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";

/** Frames of a kind that may come at once, and how many a second then: many times what a heartbeat or a user needs. */
const BURST = 2_000;
const PER_SECOND = 200;

/** Ends sessions of peers that send far more of a frame than anybody could have a use for. */
export class FloodLimit {
  readonly #frame: string;
  readonly #clock: Clock;
  #left = BURST;
  #counted: number;

  constructor(frame: string, clock: Clock) {
    this.#frame = frame;
    this.#clock = clock;
    this.#counted = clock.now();
  }

  /** @throws {FshError} FLOOD */
  count(): void {
    if (--this.#left >= 0) return;
    const now = this.#clock.now();
    this.#left = Math.min(BURST, Math.floor((now - this.#counted) / 1000 * PER_SECOND)) - 1;
    this.#counted = now;
    if (this.#left < 0) {
      throw new FshError("FLOOD", { subject: this.#frame, detail: `more than ${PER_SECOND} a second` });
    }
  }
}
