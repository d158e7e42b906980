import { setImmediate } from "node:timers";
import { promiseSteps } from "../base/promise_steps.ts";
import type { SafePath } from "../base/virtual_path.ts";

/** Steps of promises within which most of what is found is taken: then the event loop has nothing more to do for it. */
const TAKEN = 16;

/**
 * Descriptors of what was found a moment ago, for whoever opens the same path next: the kernel need not be asked twice.
 * They last to the end of the turn of the event loop, or of the next, so that nobody gets what lay there long before he
 * came; what is not taken is closed then.
 */
export class JustFound {
  readonly #close: (descriptor: number) => void;
  readonly #found = new Map<SafePath, number>();
  #ending = false;

  constructor(close: (descriptor: number) => void) {
    this.#close = close;
  }

  put(path: SafePath, descriptor: number): void {
    const before = this.#found.get(path);
    if (before !== undefined) this.#close(before);
    this.#found.set(path, descriptor);
    if (this.#ending) return;
    this.#ending = true;
    void this.#endSoon();
  }

  /** The descriptor is the caller's from now on. */
  take(path: SafePath): number | undefined {
    const descriptor = this.#found.get(path);
    if (descriptor !== undefined) this.#found.delete(path);
    return descriptor;
  }

  async #endSoon(): Promise<void> {
    await promiseSteps(TAKEN);
    if (this.#found.size > 0) setImmediate(() => this.clear());
    else this.#ending = false;
  }

  clear(): void {
    this.#ending = false;
    for (const descriptor of this.#found.values()) this.#close(descriptor);
    this.#found.clear();
  }
}
