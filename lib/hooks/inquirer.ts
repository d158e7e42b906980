import type { Log } from "../base/log.ts";
import type { Soon } from "../base/soon.ts";
import { AnswerCache } from "./answer_cache.ts";
import { Conclusions } from "./conclusions.ts";
import type { DecisionCache } from "./decision_cache.ts";
import type { EventFacts } from "./event.ts";
import { GatheredCalls } from "./gathered_calls.ts";
import type { DecideHook } from "./hooks.ts";
import { makeEvent, type PluginHost, type Reply } from "./host.ts";
import { messageOf } from "./thrown.ts";

/** How the answers of plugins, one after the other, become one. */
export interface Fold<N extends DecideHook, T> {
  /** What holds if nobody has an opinion. */
  begin(facts: EventFacts<N>): T;
  /** Whether the next plugin has a say. */
  isOpen(value: T): boolean;
  /** What the next plugin is told. */
  tell(facts: EventFacts<N>, value: T): EventFacts<N>;
  /** What holds after the answer of a plugin. @throws {TypeError} where the answer means nothing */
  take(value: T, answer: unknown, by: string): T;
  /** What holds after a plugin has failed. */
  fail(value: T, by: string): T;
}

/** One of the plugins that have the hook. */
interface Asked<N extends DecideHook> {
  readonly host: PluginHost;
  readonly calls: GatheredCalls<N>;
  /** For which its answers hold. */
  readonly seconds: number;
}

/** Asks the plugins that have one hook for decisions, as far as it does not know them from before. */
export class Inquirer<N extends DecideHook, T> {
  readonly hook: N;
  readonly fold: Fold<N, T>;
  /** In their order. */
  readonly plugins: readonly Asked<N>[];
  readonly log: Log;
  /** None where a conclusion says as much. */
  readonly answers: AnswerCache<N> | null;
  /** Where nobody has to be asked again. */
  readonly #conclusions: Conclusions<N, T> | null;

  constructor(
    options: { hook: N; fold: Fold<N, T>; hosts: readonly PluginHost[]; log: Log; cache: DecisionCache },
  ) {
    const { hook, fold, hosts, log, cache } = options;
    this.hook = hook;
    this.fold = fold;
    this.log = log;
    this.plugins = hosts.map((host) => {
      return { host, calls: new GatheredCalls(host, hook), seconds: host.manifest.cache[hook] ?? 0 };
    });
    const isKept = hosts.length > 0 && this.plugins.every(({ seconds }) => seconds > 0);
    this.#conclusions = isKept ? new Conclusions(hook, cache) : null;
    this.answers = isKept && hosts.length === 1 ? null : new AnswerCache(hook, cache);
  }

  /**
   * Asks one plugin after the other about each of these, as long as it is open. No promise where all that was needed is
   * known, so that whoever asks goes on at once.
   */
  ask(all: readonly EventFacts<N>[]): Soon<T[]> {
    const values: T[] = [];
    let open = 0;
    let resolve = (_: T[]) => {};
    const settle = (index: number, value: T) => {
      values[index] = value;
      if (--open === 0) resolve(values);
    };
    for (let index = 0; index < all.length; index++) {
      const facts = all[index] as EventFacts<N>;
      const known = this.#conclusions?.get(facts);
      if (known !== undefined) {
        values[index] = known;
        continue;
      }
      const inquiry = new Inquiry(this, facts, (value) => settle(index, value));
      if (inquiry.goOn()) values[index] = this.keep(inquiry);
      else open++;
    }
    return open === 0 ? values : new Promise((taken) => resolve = taken);
  }

  /** Keeps what came of an inquiry for as long as all the answers behind it hold. */
  keep({ facts, value, until }: Inquiry<N, T>): T {
    if (until > 0) this.#conclusions?.set(facts, { value, until });
    return value;
  }
}

/** One question on its way through the plugins. */
class Inquiry<N extends DecideHook, T> {
  readonly facts: EventFacts<N>;
  readonly #inquirer: Inquirer<N, T>;
  readonly #settle: (value: T) => void;
  value: T;
  /** As `performance.now()` has it: how long all answers so far hold. */
  until = Infinity;
  /** Of the plugin whose turn it is. */
  #at = 0;

  constructor(inquirer: Inquirer<N, T>, facts: EventFacts<N>, settle: (value: T) => void) {
    this.facts = facts;
    this.#inquirer = inquirer;
    this.#settle = settle;
    this.value = inquirer.fold.begin(facts);
  }

  /** Goes from plugin to plugin as far as answers are known; false: one was asked, and `settle` is called at the end. */
  goOn(): boolean {
    const { hook, fold, plugins, answers } = this.#inquirer;
    for (; this.#at < plugins.length && fold.isOpen(this.value); this.#at++) {
      const asked = plugins[this.#at] as Asked<N>;
      const told = fold.tell(this.facts, this.value);
      const kept = asked.seconds > 0 ? answers?.get(asked.host, told) : undefined;
      if (!kept) {
        asked.calls.ask(makeEvent(hook, told), (reply) => this.#answered(asked, told, reply));
        return false;
      }
      this.#take({ answer: kept.value }, asked);
      this.until = Math.min(this.until, kept.until);
    }
    return true;
  }

  #answered(asked: Asked<N>, told: EventFacts<N>, reply: Reply): void {
    const { answers } = this.#inquirer;
    const { host, seconds } = asked;
    // An answer that means nothing is a failure, and those are not kept.
    const holds = this.#take(reply, asked) && seconds > 0;
    const until = holds ? performance.now() + seconds * 1000 : 0;
    if (holds && "answer" in reply) answers?.set(host, told, { value: reply.answer, until });
    this.until = Math.min(this.until, until);
    this.#at++;
    if (this.goOn()) this.#settle(this.#inquirer.keep(this));
  }

  #take(reply: Reply, { host: { manifest: { name, failOpen } } }: Asked<N>): boolean {
    const { hook, fold, log } = this.#inquirer;
    try {
      if ("failure" in reply) throw new TypeError(reply.failure);
      this.value = fold.take(this.value, reply.answer, name);
      return true;
    } catch (error) {
      log.error("a plugin failed", { plugin: name, hook, reason: messageOf(error), unhooked: true });
      if (!failOpen.includes(hook)) this.value = fold.fail(this.value, name);
      return false;
    }
  }
}
