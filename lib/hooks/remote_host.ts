import type { Log } from "../base/log.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import type { Asker, Manifest, PluginHost, Reply } from "./host.ts";
import { HookRunner } from "./runner.ts";
import { messageOf } from "./thrown.ts";

/** The plugins of one generation, as another thread hears of them. */
export interface Generation {
  readonly number: number;
  /** In their order. */
  readonly manifests: readonly Manifest[];
}

/** A hook that is called from another thread, for one event. */
export interface RemoteCall {
  readonly generation: number;
  /** Which of its plugins. */
  readonly index: number;
  readonly event: HookEvent;
}

/** Ways to the thread that has the plugins. */
export interface HookLine {
  readonly call: (call: RemoteCall) => Promise<Reply>;
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
    const call = (index: number) => (event: HookEvent) => this.#line.call({ generation: number, index, event });
    this.runner.swap(manifests.map((manifest, index) => new RemoteHost(manifest, { call: call(index), stopped })));
  }
}

interface Ways {
  readonly call: (event: HookEvent) => Promise<Reply>;
  readonly stopped: () => void;
}

class RemoteHost implements PluginHost {
  readonly manifest: Manifest;
  readonly #own: Ways;

  constructor(manifest: Manifest, own: Ways) {
    this.manifest = manifest;
    this.#own = own;
  }

  /** The deadline is the other thread's as well, and ends the call there. Each event goes alone: none waits for others. */
  call<N extends HookName>(_hook: N, events: readonly HookEvent<N>[], { answered }: Asker): void {
    for (const [index, event] of events.entries()) {
      this.#own.call(event as HookEvent).then((reply) => answered(index, reply), (error) => {
        answered(index, { failure: messageOf(error) });
      });
    }
  }

  stop(): Promise<void> {
    this.#own.stopped();
    return Promise.resolve();
  }
}
