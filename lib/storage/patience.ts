/** Milliseconds that a call may hold up the event loop before it counts as slow. */
const SLOW_CALL = 20;
/** So many slow calls exhaust it; one may be the scheduler's. */
const SLOW_CALLS = 3;
/** Quick calls that make up for a slow one. */
const FORGIVEN_AFTER = 32;
/** How long they stay there, in milliseconds. */
const COOL_DOWN = 1_000;

/**
 * Chooses between a call that holds up the event loop and its twin that does not. Looking up, opening and renaming take
 * microseconds out of the system's caches, and handing them to another thread and back takes several times that; on a
 * slow disk or a network it is the other way round.
 */
export class Patience {
  readonly #slow: number;
  #slowUntil = 0;
  #slowCalls = 0;

  /** `slow`: milliseconds from which on a call counts as slow. */
  constructor(slow = SLOW_CALL) {
    this.#slow = slow;
  }

  /** Whether calls should go to the background now. */
  get isExhausted(): boolean {
    return performance.now() < this.#slowUntil;
  }

  async call<T>(now: () => T, later: () => Promise<T>): Promise<T> {
    return this.isExhausted ? await later() : this.watch(now);
  }

  /** Calls it now, and notes whether it was slow. */
  watch<T>(now: () => T): T {
    const begun = performance.now();
    try {
      return now();
    } finally {
      const ended = performance.now();
      if (ended - begun <= this.#slow) this.#slowCalls = Math.max(0, this.#slowCalls - 1 / FORGIVEN_AFTER);
      else if (++this.#slowCalls >= SLOW_CALLS) this.#slowUntil = ended + COOL_DOWN;
    }
  }
}
