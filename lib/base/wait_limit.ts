import type { Clock } from "./clock.ts";
import type { FshError } from "./errors.ts";

/** A limit for one wait after another, with a single timer that is set anew only when it rings. */
export class WaitLimit {
  readonly #clock: Clock;
  readonly #passed: (error: FshError) => void;
  #since: number | null = null;
  #until = Infinity;
  #late: (() => FshError) | null = null;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  /** `passed` is called with what is wrong when a wait has lasted too long. */
  constructor(clock: Clock, passed: (error: FshError) => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** Since when somebody waits; null: nobody does. */
  get since(): number | null {
    return this.#since;
  }

  /** A wait begins, of `limit` milliseconds at the most; 0: for ever. */
  begin(limit: number, late: () => FshError): void {
    this.#since = this.#clock.now();
    this.#late = late;
    this.extend(limit);
  }

  /** There are `limit` milliseconds more from now on. */
  extend(limit: number): void {
    const now = this.#clock.now();
    if (this.#since !== null) this.#since = now;
    this.#until = limit === 0 ? Infinity : now + limit;
    if (this.#until < (this.#timer?.at ?? Infinity)) this.#set(now);
  }

  end(): void {
    this.#since = null;
    this.#until = Infinity;
  }

  /** Nobody will wait any more. */
  stop(): void {
    this.end();
    this.#timer?.cancel();
    this.#timer = null;
  }

  #set(now: number): void {
    this.#timer?.cancel();
    this.#timer = { at: this.#until, cancel: this.#clock.after(this.#until - now, () => this.#rang()) };
  }

  #rang(): void {
    this.#timer = null;
    if (this.#until === Infinity) return;
    const now = this.#clock.now();
    if (now < this.#until) return this.#set(now);
    const late = this.#late;
    this.end();
    if (late) this.#passed(late());
  }
}
