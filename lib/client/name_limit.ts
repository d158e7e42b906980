import { FshError } from "../base/errors.ts";

/** Names that the listings of one command may have; what a server lists has no end where it does not want one. */
export const DEFAULT_NAMES = 10_000_000;

/** Counts names over all listings that share it. */
export class NameLimit {
  readonly #most: number;
  #left: number;

  constructor(most = DEFAULT_NAMES) {
    this.#most = this.#left = most;
  }

  /**
   * Counts a page; one without names counts, too, so that nobody can go on for ever with those.
   *
   * @throws {FshError} TOO_MANY_NAMES
   */
  count(names: number): void {
    this.#left -= Math.max(1, names);
    if (this.#left >= 0) return;
    throw new FshError("TOO_MANY_NAMES", { detail: `over ${this.#most}; --max-names allows more` });
  }
}
