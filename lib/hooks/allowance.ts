/** How much may be said unasked: so much at once, and so much per second. */
export class Allowance {
  readonly #perSecond: number;
  #left: number;
  #counted = performance.now();

  constructor(perSecond: number) {
    this.#perSecond = this.#left = perSecond;
  }

  /** Takes from the allowance; answers for how many milliseconds nothing more may be said. */
  spend(amount: number): number {
    const now = performance.now();
    const earned = (now - this.#counted) / 1000 * this.#perSecond;
    this.#counted = now;
    this.#left = Math.min(this.#perSecond, this.#left + earned) - amount;
    return Math.max(0, -this.#left / this.#perSecond * 1000);
  }
}
