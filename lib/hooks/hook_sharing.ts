import { callWithin } from "./call_within.ts";
import type { HookSet } from "./hook_set.ts";
import type { Manifest, Reply } from "./host.ts";
import type { Generation, RemoteCall } from "./remote_host.ts";
import type { HookRunner } from "./runner.ts";

/** Lets another thread use the plugins of this one: one set of sandboxes, however many threads serve. */
export class HookSharing {
  readonly #runner: HookRunner;
  readonly #tell: (generation: Generation) => void;
  /** Generations that the other thread may still ask. */
  readonly #held = new Map<number, { readonly set: HookSet; readonly hold: Disposable }>();
  readonly #forget: () => void;
  #number = 0;

  /** `tell` hears at once, and whenever other plugins hold. */
  constructor(runner: HookRunner, tell: (generation: Generation) => void) {
    this.#runner = runner;
    this.#tell = tell;
    this.#forget = runner.onSwap(() => this.#share());
    this.#share();
  }

  #share(): void {
    const set = this.#runner.current;
    const number = ++this.#number;
    if (set.hosts.length > 0) this.#held.set(number, { set, hold: set.acquire() });
    this.#tell({ number, manifests: set.hosts.map(({ manifest }) => needed(manifest)) });
  }

  /** Never rejects, as `PluginHost.call`. */
  call({ generation, index, hook, events }: RemoteCall): Promise<readonly Reply[]> {
    const host = this.#held.get(generation)?.set.hosts[index];
    if (!host) return Promise.resolve(events.map(() => ({ failure: "it has been replaced" })));
    return callWithin(host, hook, events);
  }

  /** The other thread does not use them any more. */
  retired(generation: number): void {
    this.#held.get(generation)?.hold[Symbol.dispose]();
    this.#held.delete(generation);
  }

  /** The other thread has ended. */
  stop(): void {
    this.#forget();
    for (const generation of [...this.#held.keys()]) this.retired(generation);
  }
}

/** What is needed to ask a plugin; all else of it may hold what can't be cloned. */
function needed({ name, hooks, methods, cache, deadlines, failOpen }: Manifest): Manifest {
  return { name, description: "", hooks, methods, permissions: {}, options: {}, cache, deadlines, failOpen };
}
