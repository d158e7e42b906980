import { factsKey } from "./answer_cache.ts";
import type { DecisionCache, Kept } from "./decision_cache.ts";
import type { EventFacts, User } from "./event.ts";
import type { DecideHook } from "./hooks.ts";

interface Conclusion<T> {
  readonly value: T;
  /** Whoever is logged in. */
  readonly user: User | undefined;
}

/**
 * What all plugins of a hook together have come to, for as long as the answers of all of them hold: one look in place of
 * one for each plugin.
 */
export class Conclusions<N extends DecideHook, T> {
  readonly #hook: N;
  readonly #cache: DecisionCache;

  constructor(hook: N, cache: DecisionCache) {
    this.#hook = hook;
    this.#cache = cache;
  }

  get(facts: EventFacts<N>): T | undefined {
    const kept = this.#cache.get(facts.session, this.#key(facts));
    // Only this class has such keys.
    const conclusion = kept?.value as Conclusion<T> | undefined;
    return conclusion && conclusion.user === facts.user ? conclusion.value : undefined;
  }

  set(facts: EventFacts<N>, { value, until }: Kept<T>): void {
    const conclusion: Conclusion<T> = { value, user: facts.user };
    this.#cache.set(facts.session, this.#key(facts), { value: conclusion, until });
  }

  /** No plugin's name is empty. The user is compared by identity: that takes no time, and within a session is enough. */
  #key(facts: EventFacts<N>): string {
    return `\0${factsKey(this.#hook, facts)}`;
  }
}
