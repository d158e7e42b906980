import type { HookContext, OptionValue, PluginLog } from "./plugin.ts";

/** What one event's hook has of its surroundings. The signal is made when it is first asked for: most never are. */
export class CallContext implements HookContext {
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly log: PluginLog;
  #controller: AbortController | null = null;
  #isOver = false;
  #isAborted = false;

  constructor(options: Readonly<Record<string, OptionValue>>, log: PluginLog) {
    this.options = options;
    this.log = log;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isAborted) this.#controller.abort();
    return this.#controller.signal;
  }

  /** The answer is there: nothing is aborted any more. */
  end(): void {
    this.#isOver = true;
  }

  abort(): void {
    if (this.#isOver || this.#isAborted) return;
    this.#isAborted = true;
    this.#controller?.abort();
  }
}
