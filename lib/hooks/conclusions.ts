import type { EventFacts, EventSession, User } from "./event.ts";
import type { DecideHook } from "./hooks.ts";
import { factsKey } from "./answer_cache.ts";

/** Conclusions that one session may have. */
const MOST = 4096;

interface Kept<T> {
  readonly value: T;
  /** As `performance.now()` has it. */
  readonly until: number;
}

interface Session<T> {
  /** Whoever is logged in. */
  readonly user: User | undefined;
  readonly kept: Map<string, Kept<T>>;
}

/**
 * What all plugins of a hook together have come to, for as long as the answers of all of them hold: one look in place of
 * one for each plugin. Per session, and gone with it.
 */
export class Conclusions<N extends DecideHook, T> {
  readonly #hook: N;
  readonly #sessions = new WeakMap<EventSession, Session<T>>();

  constructor(hook: N) {
    this.#hook = hook;
  }

  get(facts: EventFacts<N>): T | undefined {
    const session = this.#sessions.get(facts.session);
    if (!session || session.user !== facts.user) return undefined;
    const kept = session.kept.get(factsKey(this.#hook, facts));
    return kept && kept.until > performance.now() ? kept.value : undefined;
  }

  set(facts: EventFacts<N>, kept: Kept<T>): void {
    let session = this.#sessions.get(facts.session);
    if (!session || session.user !== facts.user) {
      this.#sessions.set(facts.session, session = { user: facts.user, kept: new Map() });
    }
    const oldest = session.kept.size >= MOST ? session.kept.keys().next().value : undefined;
    if (oldest !== undefined) session.kept.delete(oldest);
    session.kept.set(factsKey(this.#hook, facts), kept);
  }
}
