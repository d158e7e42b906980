import type { Clock } from "./clock.ts";

/** Whoever moved something counts as moving for so many milliseconds. */
const MOVING = 50;

/** Who moves something. That others than a certain one do can be told without a list of all. */
export class Movers<T> {
  readonly #clock: Clock;
  /** The one that moved last and when, and when any other did. */
  #last: T | null = null;
  #moved = -Infinity;
  #movedBefore = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  moved(mover: T): void {
    if (mover !== this.#last) {
      this.#movedBefore = this.#moved;
      this.#last = mover;
    }
    this.#moved = this.#clock.now();
  }

  /** Whether any others than this one move. */
  othersMove(than: T): boolean {
    return this.#clock.now() - (than === this.#last ? this.#movedBefore : this.#moved) < MOVING;
  }

  get anyMove(): boolean {
    return this.#clock.now() - this.#moved < MOVING;
  }
}
