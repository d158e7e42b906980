import { decodeUtf8, printable } from "../base/bytes.ts";
import { Turns } from "../base/concurrency.ts";
import { FshError } from "../base/errors.ts";
import { writeRaw } from "./output.ts";
import type { Progress } from "./progress.ts";

/** More is no answer. */
const MOST_BYTES = 256;
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
        writeRaw(`fsh: ${printable(path)} exists already. Replace it? [y]es, [N]o, [a]ll, n[o]ne: `);
        return this.#understand(path, await this.#line());
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

  /** What is typed up to the end of the line; the terminal hands over whole lines. */
  async #line(): Promise<string> {
    const interrupted = Promise.withResolvers<null>();
    const onAbort = () => interrupted.resolve(null);
    this.#signal.addEventListener("abort", onAbort);
    if (this.#signal.aborted) onAbort();
    const some = new Uint8Array(MOST_BYTES);
    try {
      const read = await Promise.race([Deno.stdin.read(some), interrupted.promise]);
      if (this.#signal.aborted) throw new FshError("INTERRUPTED");
      return decodeUtf8(some.subarray(0, read ?? 0));
    } catch (error) {
      if (error instanceof FshError) throw error;
      return "";
    } finally {
      this.#signal.removeEventListener("abort", onAbort);
    }
  }
}
