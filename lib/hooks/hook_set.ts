import type { Log } from "../base/log.ts";
import { readAdmission, readPath, readVerdict } from "./answers.ts";
import { AnswerCache } from "./answer_cache.ts";
import { callWithin } from "./call_within.ts";
import type { Admission, EventFacts } from "./event.ts";
import type { DecideHook, HookName, ObserveHook } from "./hooks.ts";
import { makeEvent, type PluginHost, type Reply } from "./host.ts";
import { Observers } from "./observers.ts";

/** What came of asking whether something may be. */
export interface Ruling {
  readonly allow: boolean;
  /** For the user. */
  readonly reason?: string | undefined;
  /** The plugin that decided; null: none had an opinion. */
  readonly by: string | null;
}

/** What a path became; null: there is no such path. */
export interface Mapping {
  readonly path: string | null;
  /** The plugin that changed or hid it; null: none did. */
  readonly by: string | null;
}

export interface Admitted {
  readonly admission: Admission;
  readonly by: string;
}

type RulingHook = "connect" | "authorize" | "content";

const FAILED = "a rule of this server could not be asked";

/**
 * The plugins of one generation, in their order. A request keeps the set that it began with; `acquire` and the disposal of
 * its answer count who uses it, so that a set that was replaced goes when the last request has ended.
 */
export class HookSet {
  readonly hosts: readonly PluginHost[];
  readonly #log: Log;
  readonly #cache = new AnswerCache();
  readonly #observers: Observers;
  readonly #byHook = new Map<HookName, readonly PluginHost[]>();
  #users = 0;
  #retired = false;
  readonly #unused = Promise.withResolvers<void>();

  constructor(hosts: readonly PluginHost[], log: Log) {
    this.hosts = hosts;
    this.#log = log;
    this.#observers = new Observers(hosts, log);
    for (const host of hosts) {
      for (const hook of host.manifest.hooks) this.#byHook.set(hook, [...this.#byHook.get(hook) ?? [], host]);
    }
  }

  /** Whether any plugin has one of these hooks; where none has, nothing need be asked. */
  has(...hooks: HookName[]): boolean {
    return hooks.some((hook) => this.#byHook.has(hook));
  }

  /** Ways to come in, of all plugins together. */
  get methods(): readonly string[] {
    return [...new Set(this.hosts.flatMap(({ manifest }) => manifest.methods))];
  }

  /** Keeps the set alive until disposed of. */
  acquire(): Disposable {
    this.#users++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#users--;
        this.#settle();
      },
    };
  }

  /** Resolves once nobody uses the set any more and all that was to be told is told. */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#settle();
    await this.#unused.promise;
    await this.#observers.drain();
  }

  #settle(): void {
    if (this.#retired && this.#users === 0) this.#unused.resolve();
  }

  /** Whether each of these may be: for `content` any refusal counts, otherwise the first opinion. */
  async rule<N extends RulingHook>(hook: N, all: readonly EventFacts<N>[]): Promise<Ruling[]> {
    const rulings: Ruling[] = all.map(() => ({ allow: true, by: null }));
    const wait = (index: number) => rulings[index]?.by === null;
    await this.#ask(hook, all, {
      wait,
      take: (index, reply, host) => {
        const verdict = readVerdict(reply);
        if (!verdict || (hook === "content" && verdict.allow)) return;
        rulings[index] = { ...verdict, by: host.manifest.name };
      },
      fail: (index, host) => {
        rulings[index] = { allow: false, reason: FAILED, by: host.manifest.name };
      },
    });
    return rulings;
  }

  /** Who the credentials belong to; null: no plugin has an opinion. */
  async admit(facts: EventFacts<"authenticate">): Promise<Admitted | null> {
    const found: Admitted[] = [];
    await this.#ask("authenticate", [facts], {
      wait: () => found.length === 0,
      take: (_, reply, host) => {
        const admission = readAdmission(reply);
        if (admission) found.push({ admission, by: host.manifest.name });
      },
      fail: (_, host) => {
        found.push({ admission: { allow: false }, by: host.manifest.name });
      },
    });
    return found[0] ?? null;
  }

  /** What each of these paths becomes: every plugin gets what the one before it made of it. */
  async map(all: readonly EventFacts<"filterPath">[]): Promise<Mapping[]> {
    const current = [...all];
    const mappings: Mapping[] = all.map(({ path }) => ({ path, by: null }));
    const set = (index: number, path: string | null, host: PluginHost) => {
      mappings[index] = { path, by: host.manifest.name };
      const facts = current[index];
      if (facts && path !== null) current[index] = { ...facts, path };
    };
    await this.#ask("filterPath", current, {
      wait: (index) => mappings[index]?.path !== null,
      take: (index, reply, host) => {
        const path = readPath(reply);
        if (path !== undefined && path !== mappings[index]?.path) set(index, path, host);
      },
      fail: (index, host) => set(index, null, host),
    });
    return mappings;
  }

  /** Tells of something that has happened; waits for nobody. */
  observe<N extends ObserveHook>(hook: N, facts: EventFacts<N>): void {
    if (this.#byHook.has(hook)) this.#observers.tell(makeEvent(hook, facts));
  }

  /** Asks the plugins one after the other, each for all that is still open. */
  async #ask<N extends DecideHook>(
    hook: N,
    all: readonly EventFacts<N>[],
    to: {
      /** Whether this one is still open. */
      wait: (index: number) => boolean;
      take: (index: number, answer: unknown, host: PluginHost) => void;
      fail: (index: number, host: PluginHost) => void;
    },
  ): Promise<void> {
    for (const host of this.#byHook.get(hook) ?? []) {
      const open = [...all.keys()].filter(to.wait);
      if (open.length === 0) return;
      const asked = open.map((index) => all[index] as EventFacts<N>);
      const replies = await this.#replies(host, hook, asked);
      for (const [at, index] of open.entries()) {
        const reply = replies[at] ?? { failure: "it gave too few answers" };
        try {
          if ("failure" in reply) throw new TypeError(reply.failure);
          to.take(index, reply.answer, host);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          this.#log.error("a plugin failed", { plugin: host.manifest.name, hook, reason, unhooked: true });
          // An answer that means nothing is a failure, and those are not kept.
          if (asked[at]) this.#cache.forget(host, hook, asked[at]);
          if (!host.manifest.failOpen.includes(hook)) to.fail(index, host);
        }
      }
    }
  }

  /** The replies of one plugin, out of its cache where it has one, within its deadline. */
  async #replies<N extends DecideHook>(
    host: PluginHost,
    hook: N,
    facts: readonly EventFacts<N>[],
  ): Promise<readonly Reply[]> {
    const seconds = host.manifest.cache[hook] ?? 0;
    if (seconds <= 0) return await this.#call(host, hook, facts);
    const cached = facts.map((one) => this.#cache.get(host, hook, one));
    const missing = facts.filter((_, index) => cached[index] === undefined);
    if (missing.length === 0) return cached as Reply[];
    const fresh = [...await this.#call(host, hook, missing)];
    return cached.map((reply, index) => {
      if (reply) return reply;
      const got = fresh.shift() ?? { failure: "it gave too few answers" };
      const asked = facts[index];
      if (asked && "answer" in got) this.#cache.set(host, hook, asked, { reply: got, seconds });
      return got;
    });
  }

  #call<N extends DecideHook>(host: PluginHost, hook: N, facts: readonly EventFacts<N>[]): Promise<readonly Reply[]> {
    return callWithin(host, hook, facts.map((one) => makeEvent(hook, one)));
  }
}
