/** Milliseconds that a call may hold up the event loop before the calls after it go to the background. */
const SLOW_CALL = 20;
/** How long they stay there, in milliseconds. */
const COOL_DOWN = 1_000;

/**
 * Chooses between a call that holds up the event loop and its twin that does not. Looking up, opening and renaming take
 * microseconds out of the system's caches, and handing them to another thread and back takes several times that; on a
 * slow disk or a network it is the other way round.
 */
export class Patience {
  #slowUntil = 0;

  async call<T>(now: () => T, later: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    if (begun < this.#slowUntil) return await later();
    try {
      return now();
    } finally {
      const ended = performance.now();
      if (ended - begun > SLOW_CALL) this.#slowUntil = ended + COOL_DOWN;
    }
  }
}
