import { GatheredCalls } from "./gathered_calls.ts";
import type { HookSet } from "./hook_set.ts";
import type { HookName } from "./hooks.ts";
import type { Manifest, PluginHost, Reply } from "./host.ts";
import type { Generation, RemoteCall } from "./remote_host.ts";
import type { HookRunner } from "./runner.ts";

/** Lets another thread use the plugins of this one: one set of sandboxes, however many threads serve. */
export class HookSharing {
  readonly #runner: HookRunner;
  readonly #tell: (generation: Generation) => void;
  /** Generations that the other thread may still ask. */
  readonly #held = new Map<number, { readonly set: HookSet; readonly hold: Disposable; readonly calls: Calls }>();
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
    if (set.hosts.length > 0) this.#held.set(number, { set, hold: set.acquire(), calls: new Calls() });
    this.#tell({ number, manifests: set.hosts.map(({ manifest }) => needed(manifest)) });
  }

  /** Never rejects, as `PluginHost.call` never throws. */
  call({ generation, index, event }: RemoteCall): Promise<Reply> {
    const held = this.#held.get(generation);
    const host = held?.set.hosts[index];
    if (!held || !host) return Promise.resolve({ failure: "it has been replaced" });
    return new Promise((resolve) => held.calls.of(host, event.hook).ask(event, resolve));
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

/** Calls of one generation. */
class Calls {
  readonly #all = new Map<PluginHost, Map<HookName, GatheredCalls<HookName>>>();

  of(host: PluginHost, hook: HookName): GatheredCalls<HookName> {
    let own = this.#all.get(host);
    if (!own) this.#all.set(host, own = new Map());
    let calls = own.get(hook);
    if (!calls) own.set(hook, calls = new GatheredCalls<HookName>(host, hook));
    return calls;
  }
}

/** What is needed to ask a plugin; all else of it may hold what can't be cloned. */
function needed({ name, hooks, methods, cache, deadlines, failOpen, ahead }: Manifest): Manifest {
  return { name, description: "", hooks, methods, permissions: {}, options: {}, cache, deadlines, failOpen, ahead };
}
