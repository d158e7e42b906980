import type { Log } from "../base/log.ts";
import { CallContext } from "./call_context.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import { type Asker, type Manifest, manifestOf, type PluginHost, type Reply } from "./host.ts";
import type { OptionValue, Plugin } from "./plugin.ts";
import { hooksOf } from "./plugin_shape.ts";
import { runHook } from "./run_hook.ts";
import { describeThrown } from "./thrown.ts";

export interface InProcessOptions {
  readonly options?: Readonly<Record<string, OptionValue>>;
  readonly log: Log;
}

/** Runs a plugin's hooks in this process: those that ship with fsh, and those that the operator trusts. */
export class InProcessHost implements PluginHost {
  readonly manifest: Manifest;
  readonly #plugin: Plugin;
  readonly #log: Log;
  readonly #options: Readonly<Record<string, OptionValue>>;

  private constructor(plugin: Plugin, { log, options = {} }: InProcessOptions) {
    this.#plugin = plugin;
    this.#log = log.with({ plugin: plugin.name, unhooked: true });
    this.#options = options;
    this.manifest = manifestOf(plugin, hooksOf(plugin));
  }

  /** Starts the plugin; rejects with what its `start` throws. */
  static async start(plugin: Plugin, options: InProcessOptions): Promise<InProcessHost> {
    const host = new InProcessHost(plugin, options);
    await plugin.start?.({ options: host.#options, log: host.#log });
    return host;
  }

  call<N extends HookName>(hook: N, events: readonly HookEvent<N>[], { deadline, answered }: Asker): void {
    const run = this.#plugin.hooks[hook];
    const late: CallContext[] = [];
    for (const [index, event] of events.entries()) {
      const own = new CallContext(this.#options, this.#log);
      const reply = runHook(() => run?.call(this.#plugin.hooks, event, own));
      const end = (reply: Reply) => {
        own.end();
        answered(index, reply);
      };
      if (!(reply instanceof Promise)) {
        end(reply);
        continue;
      }
      if (late.push(own) === 1) deadline.onPass(() => late.forEach((one) => one.abort()));
      reply.then(end);
    }
  }

  async stop(): Promise<void> {
    try {
      await this.#plugin.stop?.();
    } catch (error) {
      this.#log.error("a plugin failed while it was stopped", { reason: describeThrown(error) });
    }
  }
}
