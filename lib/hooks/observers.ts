import type { Log } from "../base/log.ts";
import { callAll } from "./call_within.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import type { PluginHost } from "./host.ts";

/** Events that may wait for one plugin. */
const MOST = 4096;
/** Events that go to a plugin together. */
const BATCH = 64;
/** Milliseconds between two lines about events that were dropped. */
const COMPLAIN_EVERY = 10_000;
/** Milliseconds that the last events have at the end. */
const FAREWELL = 5_000;

/** Tells plugins what has happened, each at its own pace: a slow one loses events and slows nobody. */
export class Observers {
  readonly #queues: readonly Queue[];

  constructor(hosts: readonly PluginHost[], log: Log) {
    this.#queues = hosts.map((host) => new Queue(host, log));
  }

  tell(event: HookEvent): void {
    for (const queue of this.#queues) queue.push(event);
  }

  /** Resolves once all is told, or after a moment. */
  async drain(): Promise<void> {
    const idle = Promise.all(this.#queues.map((queue) => queue.idle()));
    let timer: number | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, FAREWELL));
    await Promise.race([idle, late]);
    clearTimeout(timer);
  }
}

class Queue {
  readonly #host: PluginHost;
  readonly #log: Log;
  #events: HookEvent[] = [];
  #pumping = false;
  #pumped: Promise<void> = Promise.resolve();
  #dropped = 0;
  #complained = -Infinity;

  constructor(host: PluginHost, log: Log) {
    this.#host = host;
    this.#log = log.with({ plugin: host.manifest.name, unhooked: true });
  }

  push(event: HookEvent): void {
    if (!this.#host.manifest.hooks.includes(event.hook)) return;
    if (this.#events.length >= MOST) return this.#drop();
    this.#events.push(event);
    if (!this.#pumping) this.#pumped = this.#pump();
  }

  async idle(): Promise<void> {
    while (this.#pumping) await this.#pumped;
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    // What is told together in one turn goes together.
    await Promise.resolve();
    while (this.#events.length > 0) {
      const hook = this.#events[0]?.hook as HookName;
      const end = this.#events.findIndex((event) => event.hook !== hook);
      const batch = this.#events.splice(0, Math.min(BATCH, end === -1 ? this.#events.length : end));
      const replies = await callAll(this.#host, { hook, events: batch });
      for (const reply of replies) {
        if ("failure" in reply) this.#log.error("a plugin failed", { hook, reason: reply.failure });
      }
    }
    this.#pumping = false;
  }

  #drop(): void {
    this.#dropped++;
    const now = performance.now();
    if (now - this.#complained < COMPLAIN_EVERY) return;
    this.#complained = now;
    this.#log.warn("a plugin is too slow for what happens; events were dropped", { dropped: this.#dropped });
  }
}
