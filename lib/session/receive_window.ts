/** A window grows no further than this, in bytes. */
const MAX_WINDOW = 64 * 1024 * 1024;

/** Half a window can't come in less, in milliseconds, whatever a coarse clock says. */
const SHORTEST = 0.5;
/** So many grants in a row must find it too wide. */
const SHRINK_AFTER = 8;

export interface ReceiveWindowOptions {
  /** Bytes that the peer may send before it is granted more. */
  readonly size: number;
  readonly now: () => number;
  /** Milliseconds of the shortest round trip so far; null before the first. */
  readonly roundTrip: () => number | null;
}

/** How much a peer may send on a stream: as much as the link holds, if what comes is taken as fast. */
export class ReceiveWindow {
  readonly #options: ReceiveWindowOptions;
  #allowance: number;
  #size: number;
  #consumed = 0;
  /** When the last grant was made, or the first bytes came: the way there says nothing of the rate. */
  #granted: number | null = null;
  #tooWide = 0;

  constructor(options: ReceiveWindowOptions) {
    this.#options = options;
    this.#allowance = this.#size = options.size;
  }

  /** Counts what has come; false where it is more than was granted. */
  spend(bytes: number): boolean {
    this.#granted ??= this.#options.now();
    this.#allowance -= bytes;
    return this.#allowance >= 0;
  }

  /**
   * Counts what was taken, and answers what to grant for it: nothing for every little bit, but by half the size it began
   * with, so that a wide window is refilled steadily, not in bursts; more, where the link holds more.
   */
  consume(bytes: number): number {
    this.#consumed += bytes;
    if (this.#consumed < this.#options.size / 2) return 0;
    const credit = this.#consumed + this.#widen();
    this.#allowance += credit;
    this.#consumed = 0;
    return credit;
  }

  /**
   * The window must hold what is under way: bandwidth × round trip, and as much again for what queues on the way. It grows
   * to twice that at the rate of the last grant; so a reader that keeps up is soon limited by the link alone, and one that
   * is slow gets no more to hold. Where it stays too wide, it shrinks again: the first round trips of a busy machine look
   * longer than they are.
   */
  #widen(): number {
    const now = this.#options.now();
    const elapsed = Math.max(now - (this.#granted ?? now), SHORTEST);
    this.#granted = now;
    const wanted = Math.max(this.#options.size, 4 * (this.#consumed / elapsed) * (this.#options.roundTrip() ?? 0));
    this.#tooWide = wanted < this.#size / 2 ? this.#tooWide + 1 : 0;
    let size = this.#size;
    if (wanted > size) size = Math.floor(Math.min(wanted, size * 2, MAX_WINDOW));
    // By as much as is not granted again; never below what was promised at first.
    else if (this.#tooWide >= SHRINK_AFTER) size = Math.max(size - (this.#consumed >> 1), Math.ceil(wanted));
    const more = size - this.#size;
    this.#size = size;
    return more;
  }
}
