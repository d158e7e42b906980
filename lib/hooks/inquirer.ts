import type { Log } from "../base/log.ts";
import { AnswerCache } from "./answer_cache.ts";
import { callWithin } from "./call_within.ts";
import type { EventFacts } from "./event.ts";
import type { DecideHook } from "./hooks.ts";
import { makeEvent, type PluginHost, type Reply } from "./host.ts";

const TOO_FEW: Reply = { failure: "it gave too few answers" };

/** What is asked, and what is done with the answers. */
export interface Inquiry<N extends DecideHook> {
  readonly hook: N;
  /** May change from plugin to plugin. */
  readonly all: readonly EventFacts<N>[];
  /** Whether this one is still open. */
  isOpen(index: number): boolean;
  /** @throws {TypeError} where the answer means nothing */
  take(index: number, answer: unknown, host: PluginHost): void;
  fail(index: number, host: PluginHost): void;
}

/** Asks plugins for decisions, as far as it does not know them from before. */
export class Inquirer {
  readonly #log: Log;
  readonly #cache = new AnswerCache();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Asks one plugin after the other, each for all that is still open. Answers nothing where all that was needed is known,
   * so that whoever asks goes on at once.
   */
  ask<N extends DecideHook>(inquiry: Inquiry<N>, hosts: readonly PluginHost[]): Promise<void> | undefined {
    for (const [at, host] of hosts.entries()) {
      const open: number[] = [];
      for (let index = 0; index < inquiry.all.length; index++) if (inquiry.isOpen(index)) open.push(index);
      if (open.length === 0) return;
      const asked = open.map((index) => inquiry.all[index] as EventFacts<N>);
      const take = (replies: readonly Reply[]) => {
        for (const [nth, index] of open.entries()) this.#take(inquiry, { index, host, reply: replies[nth] ?? TOO_FEW });
      };
      const replies = this.#replies(host, inquiry.hook, asked);
      if (replies instanceof Promise) {
        return replies.then((replies) => {
          take(replies);
          return this.ask(inquiry, hosts.slice(at + 1));
        });
      }
      take(replies);
    }
  }

  #take<N extends DecideHook>(
    inquiry: Inquiry<N>,
    { index, host, reply }: { index: number; host: PluginHost; reply: Reply },
  ): void {
    const { hook, all } = inquiry;
    // Before the answer is taken: that may change what the next plugin is asked.
    const asked = all[index];
    try {
      if ("failure" in reply) throw new TypeError(reply.failure);
      inquiry.take(index, reply.answer, host);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error("a plugin failed", { plugin: host.manifest.name, hook, reason, unhooked: true });
      // An answer that means nothing is a failure, and those are not kept.
      if (asked) this.#cache.forget(host, hook, asked);
      if (!host.manifest.failOpen.includes(hook)) inquiry.fail(index, host);
    }
  }

  /** The replies of one plugin, out of its cache where it has one, within its deadline. */
  #replies<N extends DecideHook>(
    host: PluginHost,
    hook: N,
    facts: readonly EventFacts<N>[],
  ): readonly Reply[] | Promise<readonly Reply[]> {
    const seconds = host.manifest.cache[hook] ?? 0;
    if (seconds <= 0) return this.#call(host, hook, facts);
    const cached = facts.map((one) => this.#cache.get(host, hook, one));
    const missing = facts.filter((_, index) => cached[index] === undefined);
    if (missing.length === 0) return cached as Reply[];
    return this.#call(host, hook, missing).then((replies) => {
      const fresh = replies.values();
      return cached.map((reply, index) => {
        if (reply) return reply;
        const got = fresh.next().value ?? TOO_FEW;
        const asked = facts[index];
        if (asked && "answer" in got) this.#cache.set(host, hook, asked, { reply: got, seconds });
        return got;
      });
    });
  }

  #call<N extends DecideHook>(host: PluginHost, hook: N, facts: readonly EventFacts<N>[]): Promise<readonly Reply[]> {
    return callWithin(host, hook, facts.map((one) => makeEvent(hook, one)));
  }
}
