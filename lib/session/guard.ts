import { FshError } from "../base/errors.ts";
import { type SafePath, safePath } from "../base/virtual_path.ts";
import type { PathGuard } from "./command.ts";

export interface GuardOptions {
  readonly readOnly: boolean;
}

/** Turns paths of requests into SafePaths, or refuses them. Every request passes here before storage is touched. */
export class Guard implements PathGuard {
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  // Asynchronous, because asking a plugin is.
  // deno-lint-ignore require-await
  async read(path: string): Promise<SafePath> {
    return safePath(path);
  }

  // deno-lint-ignore require-await
  async write(path: string): Promise<SafePath> {
    const safe = safePath(path);
    if (this.#options.readOnly) throw new FshError("READ_ONLY", { subject: path });
    return safe;
  }
}
