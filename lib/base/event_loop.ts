import { setImmediate } from "node:timers";

/** Milliseconds for which sockets may go unlooked at. */
const UNSEEN = 8;

/**
 * Goes on with work in pieces once everything else that is due has happened. A loop that has something to run at once
 * looks at sockets only every 61st time (event_interval of tokio's runtime::Builder): with `setImmediate` alone between
 * pieces of some milliseconds, an answer takes a fifth of a second. A timer makes the loop wait, and look; as that takes
 * two milliseconds, it is set only now and then.
 */
export class EventLoop {
  /** When it last looked at them, as `performance.now()` has it. */
  #looked = -Infinity;
  #waiting: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Calls once, never before this returns. */
  after(call: () => void): void {
    if (this.#closed || performance.now() - this.#looked < UNSEEN) return void setImmediate(call);
    this.#waiting.push(call);
    this.#timer ??= setTimeout(() => this.#goOn(), 0);
  }

  #goOn(): void {
    this.#timer = undefined;
    this.#looked = performance.now();
    for (const call of this.#waiting.splice(0)) call();
  }

  /** Leaves no timer behind; who waits goes on at once. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#goOn();
  }
}
