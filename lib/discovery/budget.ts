import type { Clock } from "../base/clock.ts";

/** What strangers on one link get of each second: so many messages; a link has some dozens of them. */
export const MOST_MESSAGES = 200;
/** And so many milliseconds: some messages take the library longer than their length lets one think. */
export const MOST_TIME = 100;

/** Does a stranger's work only as far as this second has anything left for it; what a flood brings beyond is dropped. */
export class Budget {
  readonly #clock: Clock;
  #second = -1;
  #messages = 0;
  #time = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  spend(work: () => void): void {
    const begun = this.#clock.now();
    const second = Math.floor(begun / 1000);
    if (second !== this.#second) [this.#second, this.#messages, this.#time] = [second, 0, 0];
    if (this.#messages >= MOST_MESSAGES || this.#time >= MOST_TIME) return;
    this.#messages++;
    work();
    this.#time += this.#clock.now() - begun;
  }
}
