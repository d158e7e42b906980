import { type Clock, systemClock } from "./clock.ts";

/** Bytes may go this much ahead of the rate, in milliseconds of it. */
const BURST = 100;

/** What holds transfers to a rate. */
export interface Rate {
  /** Largest chunk to ask for, in bytes: a tenth of a second's worth. */
  readonly chunk: number;
  /** Undefined if the bytes may go at once; else resolves when they may. */
  take(bytes: number): Promise<void> | undefined;
}

/**
 * Holds all who share it to one rate. Whoever asks first goes first, and everybody asks for a chunk at a time, so that
 * many share it evenly.
 */
export class RateLimiter implements Rate {
  readonly #perMs: number;
  readonly #clock: Clock;
  /** When all that was granted so far will have passed at the rate. */
  #free: number;

  /** `rate`: bytes per second. */
  constructor(rate: number, clock: Clock = systemClock) {
    this.#perMs = rate / 1000;
    this.#clock = clock;
    this.#free = clock.now();
  }

  get chunk(): number {
    return Math.max(4096, Math.floor(this.#perMs * 100));
  }

  take(bytes: number): Promise<void> | undefined {
    const now = this.#clock.now();
    this.#free = Math.max(this.#free, now) + bytes / this.#perMs;
    // Until they have passed at the rate, too: a single chunk, however large, is held to it.
    const wait = this.#free - now - BURST;
    if (wait <= 0) return undefined;
    return new Promise((resolve) => this.#clock.after(wait, resolve));
  }
}
