import { type Log, silentLog } from "../base/log.ts";
import { HookSet } from "./hook_set.ts";
import type { PluginHost } from "./host.ts";

/** Has the set of plugins that holds now; the only thing that changes when plugins are loaded anew. */
export class HookRunner {
  readonly #log: Log;
  /** In how many sets that are in use each plugin is. */
  readonly #uses = new Map<PluginHost, number>();
  readonly #retiring = new Set<Promise<void>>();
  readonly #listeners = new Set<() => void>();
  #current: HookSet;

  constructor(hosts: readonly PluginHost[] = [], log: Log = silentLog) {
    this.#log = log;
    this.#current = this.#set(hosts);
  }

  /** The set for what begins now. */
  get current(): HookSet {
    return this.#current;
  }

  /** From now on these hold. Those that are replaced are stopped when the last request under them has ended. */
  swap(hosts: readonly PluginHost[]): void {
    const before = this.#current;
    this.#current = this.#set(hosts);
    for (const listener of this.#listeners) listener();
    this.#retire(before);
  }

  /** Calls whenever others hold, until the answer is called. */
  onSwap(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops all plugins. */
  async stop(): Promise<void> {
    this.swap([]);
    while (this.#retiring.size > 0) await Promise.all(this.#retiring);
  }

  #set(hosts: readonly PluginHost[]): HookSet {
    for (const host of hosts) this.#uses.set(host, (this.#uses.get(host) ?? 0) + 1);
    return new HookSet(hosts, this.#log);
  }

  #retire(set: HookSet): void {
    const retiring = (async () => {
      await set.retire();
      await Promise.all(set.hosts.map((host) => this.#release(host)));
    })();
    this.#retiring.add(retiring);
    retiring.finally(() => this.#retiring.delete(retiring));
  }

  async #release(host: PluginHost): Promise<void> {
    const uses = (this.#uses.get(host) ?? 1) - 1;
    if (uses > 0) return void this.#uses.set(host, uses);
    this.#uses.delete(host);
    await host.stop();
  }
}
