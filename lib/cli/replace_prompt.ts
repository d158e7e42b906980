import { printable } from "../base/bytes.ts";
import { Turns } from "../base/concurrency.ts";
import { askOnTerminal } from "./password_prompt.ts";
import type { Progress } from "./progress.ts";

/** Answers that are remembered, so that a file is not asked about again after a lost connection. */
const REMEMBERED = 10_000;

/** Asks on the terminal whether files may be replaced, one at a time. */
export class ReplacePrompt {
  readonly #turns = new Turns(1);
  readonly #answers = new Map<string, boolean>();
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  #forAll: boolean | null = null;

  constructor(progress: Progress, signal: AbortSignal) {
    this.#progress = progress;
    this.#signal = signal;
  }

  /** Whether somebody is there to be asked. */
  static isPossible(): boolean {
    return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  }

  /** @throws {FshError} INTERRUPTED by the signal */
  mayReplace(path: string): Promise<boolean> {
    return this.#turns.take(async () => {
      const known = this.#forAll ?? this.#answers.get(path);
      if (known !== undefined) return known;
      const release = this.#progress.hold();
      try {
        const question = `fsh: ${printable(path)} exists already. Replace it? [y]es, [N]o, [a]ll, n[o]ne: `;
        return this.#understand(path, await askOnTerminal(question, this.#signal));
      } finally {
        release();
      }
    });
  }

  #understand(path: string, line: string): boolean {
    const answer = line.trim().toLowerCase();
    if (["a", "all"].includes(answer)) return this.#forAll = true;
    if (["o", "none"].includes(answer)) return this.#forAll = false;
    const agreed = ["y", "yes"].includes(answer);
    if (this.#answers.size < REMEMBERED) this.#answers.set(path, agreed);
    return agreed;
  }
}
