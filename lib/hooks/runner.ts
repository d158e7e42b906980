import { type Log, silentLog } from "../base/log.ts";
import { HookSet } from "./hook_set.ts";
import type { PluginHost } from "./host.ts";

/** Has the set of plugins that holds now; the only thing that changes when plugins are loaded anew. */
export class HookRunner {
  readonly #log: Log;
  #current: HookSet;

  constructor(hosts: readonly PluginHost[] = [], log: Log = silentLog) {
    this.#log = log;
    this.#current = new HookSet(hosts, log);
  }

  /** The set for what begins now. */
  get current(): HookSet {
    return this.#current;
  }

  /** From now on these hold. The ones before are stopped when the last request under them has ended. */
  swap(hosts: readonly PluginHost[]): Promise<void> {
    const before = this.#current;
    this.#current = new HookSet(hosts, this.#log);
    return before.retire();
  }

  stop(): Promise<void> {
    return this.#current.retire();
  }
}
