import type { Log } from "../base/log.ts";
import type { Soon } from "../base/soon.ts";
import { AnswerCache } from "./answer_cache.ts";
import { Conclusions } from "./conclusions.ts";
import type { DecisionCache } from "./decision_cache.ts";
import type { EventFacts, HookEvent } from "./event.ts";
import { GatheredCalls } from "./gathered_calls.ts";
import type { DecideHook } from "./hooks.ts";
import { makeEvent, type PluginHost, type Reply } from "./host.ts";
import { messageOf } from "./thrown.ts";

/**
 * Questions ahead of their turn that one hook of a plugin may have unanswered. They outlive a request that ends early, so that
 * requests alone would not bound them; beyond it a plugin is asked in its turn.
 */
const MOST_EARLY = 256;

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
  /** Whether it may be asked before its turn. */
  readonly ahead: boolean;
  /** Questions that were asked so and have no answer yet. */
  early: number;
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
  /** Whether any of the plugins may be asked before its turn. */
  readonly anyAhead: boolean;
  readonly #hold: () => Disposable;
  /** Where nobody has to be asked again. */
  readonly #conclusions: Conclusions<N, T> | null;

  constructor(
    options: {
      hook: N;
      fold: Fold<N, T>;
      hosts: readonly PluginHost[];
      log: Log;
      cache: DecisionCache;
      /** Keeps the plugins from being stopped until disposed of. */
      hold: () => Disposable;
    },
  ) {
    const { hook, fold, hosts, log, cache, hold } = options;
    this.#hold = hold;
    this.hook = hook;
    this.fold = fold;
    this.log = log;
    this.plugins = hosts.map((host) => {
      const { cache, ahead } = host.manifest;
      return {
        host,
        calls: new GatheredCalls(host, hook),
        seconds: cache[hook] ?? 0,
        ahead: ahead.includes(hook),
        early: 0,
      };
    });
    this.anyAhead = this.plugins.some(({ ahead }) => ahead);
    const isKept = hosts.length > 0 && this.plugins.every(({ seconds }) => seconds > 0);
    this.#conclusions = isKept ? new Conclusions(hook, cache) : null;
    this.answers = isKept && hosts.length === 1 ? null : new AnswerCache(hook, cache);
  }

  /**
   * Asks those plugins that may be asked ahead, for whoever is about to `ask` the same, maybe, and takes their answers then.
   * Null: there is nobody to ask.
   */
  foresee(facts: EventFacts<N>): Questions<N> | null {
    if (!this.anyAhead || this.#conclusions?.get(facts) !== undefined) return null;
    return this.askAhead(facts, 0);
  }

  /** Questions to the plugins from number `from` on that may be asked before their turn. */
  askAhead(facts: EventFacts<N>, from: number): Questions<N> {
    const questions: (Question<N> | undefined)[] = [];
    for (let at = from; at < this.plugins.length; at++) {
      const asked = this.plugins[at] as Asked<N>;
      if (!asked.ahead || asked.early >= MOST_EARLY) continue;
      if (asked.seconds > 0 && this.answers?.get(asked.host, facts)) continue;
      questions[at] = new Question(asked, makeEvent(this.hook, facts), this.#hold());
    }
    return questions;
  }

  /**
   * Asks one plugin after the other about each of these, as long as it is open; those that may be asked ahead with the
   * first, or `early`: what `foresee` answered for each. No promise where all that was needed is known, so that whoever asks
   * goes on at once.
   */
  ask(all: readonly EventFacts<N>[], early?: readonly (Questions<N> | null)[]): Soon<T[]> {
    const known: T[] = [];
    for (const facts of all) {
      const value = this.#conclusions?.get(facts);
      if (value === undefined) return this.#askRest(all, { values: known, early });
      known.push(value);
    }
    return known;
  }

  /** `values`: of the first ones, which are known. */
  #askRest(
    all: readonly EventFacts<N>[],
    { values, early }: { values: T[]; early: readonly (Questions<N> | null)[] | undefined },
  ): Soon<T[]> {
    let open = 0;
    let resolve = (_: T[]) => {};
    const settle = (index: number, value: T) => {
      values[index] = value;
      if (--open === 0) resolve(values);
    };
    for (let index = values.length; index < all.length; index++) {
      const facts = all[index] as EventFacts<N>;
      const known = this.#conclusions?.get(facts);
      if (known !== undefined) {
        values[index] = known;
        continue;
      }
      const inquiry = new Inquiry(this, facts, (value) => settle(index, value));
      inquiry.early = early?.[index] ?? null;
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

/** What a plugin is asked before anybody needs its answer. */
class Question<N extends DecideHook> {
  /** When the reply came, as `performance.now()` has it. */
  at = 0;
  #reply: Reply | null = null;
  #needed: ((reply: Reply) => void) | null = null;

  /** `held` lets go of the plugins once it is answered. */
  constructor(asked: Asked<N>, event: HookEvent<N>, held: Disposable) {
    asked.early++;
    asked.calls.ask(event, (reply) => {
      asked.early--;
      held[Symbol.dispose]();
      this.at = performance.now();
      this.#reply = reply;
      this.#needed?.(reply);
    });
  }

  /** The reply that is there; null: `later` gets it. */
  take(later: (reply: Reply) => void): Reply | null {
    this.#needed = later;
    return this.#reply;
  }
}

/** What was asked ahead, by the number of the plugin. */
export type Questions<N extends DecideHook> = readonly (Question<N> | undefined)[];

/** One matter on its way through the plugins. */
class Inquiry<N extends DecideHook, T> {
  readonly facts: EventFacts<N>;
  readonly #inquirer: Inquirer<N, T>;
  readonly #settle: (value: T) => void;
  value: T;
  /** As `performance.now()` has it: how long all answers so far hold. */
  until = Infinity;
  /** What plugins were asked ahead, about the facts as they were at the beginning. */
  early: Questions<N> | null = null;
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
    const { hook, fold, plugins, answers, anyAhead } = this.#inquirer;
    for (; this.#at < plugins.length && fold.isOpen(this.value); this.#at++) {
      const asked = plugins[this.#at] as Asked<N>;
      const told = fold.tell(this.facts, this.value);
      const kept = asked.seconds > 0 ? answers?.get(asked.host, told) : undefined;
      if (kept) {
        this.#take({ answer: kept.value }, asked);
        this.until = Math.min(this.until, kept.until);
        continue;
      }
      // Asked about something else, its answer is none to this.
      if (anyAhead && told === this.facts) this.early ??= this.#inquirer.askAhead(told, this.#at);
      const question = told === this.facts ? this.early?.[this.#at] : undefined;
      // Undefined: nobody was asked; null: the answer is on its way.
      const reply = question?.take((reply) => this.#answered(asked, told, reply));
      if (reply && holds(reply, asked, question?.at)) {
        this.#learn(asked, { told, reply, at: question?.at ?? 0 });
        continue;
      }
      if (reply !== null) asked.calls.ask(makeEvent(hook, told), (reply) => this.#answered(asked, told, reply));
      return false;
    }
    return true;
  }

  #answered(asked: Asked<N>, told: EventFacts<N>, reply: Reply): void {
    this.#learn(asked, { told, reply, at: performance.now() });
    this.#at++;
    if (this.goOn()) this.#settle(this.#inquirer.keep(this));
  }

  /** `at`: when the reply came. */
  #learn(asked: Asked<N>, { told, reply, at }: { told: EventFacts<N>; reply: Reply; at: number }): void {
    const { answers } = this.#inquirer;
    const { host, seconds } = asked;
    // An answer that means nothing is a failure, and those are not kept.
    const until = this.#take(reply, asked) && seconds > 0 ? at + seconds * 1000 : 0;
    if (until > 0 && "answer" in reply) answers?.set(host, told, { value: reply.answer, until });
    this.until = Math.min(this.until, until);
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

/** Whether an answer that came before its turn counts in it. A failure may be over, and what may be kept grows old. */
function holds(reply: Reply, { seconds }: { readonly seconds: number }, at = 0): boolean {
  return "answer" in reply && (seconds === 0 || performance.now() < at + seconds * 1000);
}
