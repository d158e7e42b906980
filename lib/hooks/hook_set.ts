import type { Log } from "../base/log.ts";
import { readAdmission, readPath, readVerdict } from "./answers.ts";
import type { Admission, EventFacts } from "./event.ts";
import type { DecideHook, HookName, ObserveHook } from "./hooks.ts";
import { makeEvent, type PluginHost } from "./host.ts";
import { Inquirer, type Inquiry } from "./inquirer.ts";
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
  readonly #inquirer: Inquirer;
  readonly #observers: Observers;
  readonly #byHook = new Map<HookName, readonly PluginHost[]>();
  #users = 0;
  #retired = false;
  readonly #unused = Promise.withResolvers<void>();

  constructor(hosts: readonly PluginHost[], log: Log) {
    this.hosts = hosts;
    this.#inquirer = new Inquirer(log);
    this.#observers = new Observers(hosts, log);
    for (const host of hosts) {
      for (const hook of host.manifest.hooks) this.#byHook.set(hook, [...this.#byHook.get(hook) ?? [], host]);
    }
  }

  /** Whether any plugin has one of these hooks; where none has, nothing need be asked. */
  has(...hooks: HookName[]): boolean {
    for (const hook of hooks) if (this.#byHook.has(hook)) return true;
    return false;
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

  /**
   * Whether each of these may be: for `content` any refusal counts, otherwise the first opinion. No promise where
   * all answers are in the cache.
   */
  rule<N extends RulingHook>(hook: N, all: readonly EventFacts<N>[]): Ruling[] | Promise<Ruling[]> {
    const rulings: Ruling[] = all.map(() => ({ allow: true, by: null }));
    const asking = this.#ask({
      hook,
      all,
      isOpen: (index) => rulings[index]?.by === null,
      take: (index, reply, host) => {
        const verdict = readVerdict(reply);
        if (!verdict || (hook === "content" && verdict.allow)) return;
        rulings[index] = { ...verdict, by: host.manifest.name };
      },
      fail: (index, host) => {
        rulings[index] = { allow: false, reason: FAILED, by: host.manifest.name };
      },
    });
    return asking ? asking.then(() => rulings) : rulings;
  }

  /** Who the credentials belong to; null: no plugin has an opinion. */
  async admit(facts: EventFacts<"authenticate">): Promise<Admitted | null> {
    const found: Admitted[] = [];
    await this.#ask({
      hook: "authenticate",
      all: [facts],
      isOpen: () => found.length === 0,
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

  /** What each of these paths becomes: every plugin gets what the one before it made of it. As `rule`, maybe at once. */
  map(all: readonly EventFacts<"filterPath">[]): Mapping[] | Promise<Mapping[]> {
    const current = [...all];
    const mappings: Mapping[] = all.map(({ path }) => ({ path, by: null }));
    const set = (index: number, path: string | null, host: PluginHost) => {
      mappings[index] = { path, by: host.manifest.name };
      const facts = current[index];
      if (facts && path !== null) current[index] = { ...facts, path };
    };
    const asking = this.#ask({
      hook: "filterPath",
      all: current,
      isOpen: (index) => mappings[index]?.path !== null,
      take: (index, reply, host) => {
        const path = readPath(reply);
        if (path !== undefined && path !== mappings[index]?.path) set(index, path, host);
      },
      fail: (index, host) => set(index, null, host),
    });
    return asking ? asking.then(() => mappings) : mappings;
  }

  /** Tells of something that has happened; waits for nobody. */
  observe<N extends ObserveHook>(hook: N, facts: EventFacts<N>): void {
    if (this.#byHook.has(hook)) this.#observers.tell(makeEvent(hook, facts));
  }

  #ask<N extends DecideHook>(inquiry: Inquiry<N>): Promise<void> | undefined {
    return this.#inquirer.ask(inquiry, this.#byHook.get(inquiry.hook) ?? []);
  }
}
