import type { Log } from "../base/log.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import type { Manifest, PluginHost, Reply } from "./host.ts";
import { HookRunner } from "./runner.ts";

/** The plugins of one generation, as another thread hears of them. */
export interface Generation {
  readonly number: number;
  /** In their order. */
  readonly manifests: readonly Manifest[];
}

/** A hook that is called from another thread. */
export interface RemoteCall {
  readonly generation: number;
  /** Which of its plugins. */
  readonly index: number;
  readonly hook: HookName;
  readonly events: readonly HookEvent[];
}

/** Ways to the thread that has the plugins. */
export interface HookLine {
  readonly call: (call: RemoteCall) => Promise<readonly Reply[]>;
  /** Nobody here uses the plugins of a generation any more. */
  readonly retired: (generation: number) => void;
}

/** Plugins that run in another thread. Which those are is said by `take`. */
export class RemoteHooks {
  readonly runner: HookRunner;
  readonly #line: HookLine;

  /** `log` hears of plugins that fail. */
  constructor(line: HookLine, log: Log) {
    this.#line = line;
    this.runner = new HookRunner([], log);
  }

  /** From now on these hold; what has begun under others goes on under those. */
  take({ number, manifests }: Generation): void {
    let left = manifests.length;
    const stopped = () => --left === 0 && this.#line.retired(number);
    const call = (index: number) => (hook: HookName, events: readonly HookEvent[]) =>
      this.#line.call({ generation: number, index, hook, events });
    this.runner.swap(manifests.map((manifest, index) => new RemoteHost(manifest, { call: call(index), stopped })));
  }
}

interface Ways {
  readonly call: (hook: HookName, events: readonly HookEvent[]) => Promise<readonly Reply[]>;
  readonly stopped: () => void;
}

class RemoteHost implements PluginHost {
  readonly manifest: Manifest;
  readonly #own: Ways;

  constructor(manifest: Manifest, own: Ways) {
    this.manifest = manifest;
    this.#own = own;
  }

  /** The deadline is the other thread's as well, and ends the call there. */
  async call<N extends HookName>(hook: N, events: readonly HookEvent<N>[]): Promise<readonly Reply[]> {
    try {
      return await this.#own.call(hook, events as readonly HookEvent[]);
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      return events.map(() => ({ failure }));
    }
  }

  stop(): Promise<void> {
    this.#own.stopped();
    return Promise.resolve();
  }
}
