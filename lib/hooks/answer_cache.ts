import type { DecisionCache, Kept } from "./decision_cache.ts";
import type { EventFacts, User } from "./event.ts";
import type { DecideHook } from "./hooks.ts";
import type { PluginHost } from "./host.ts";

/** Answers of plugins to one hook that said how long they hold. */
export class AnswerCache<N extends DecideHook> {
  readonly #hook: N;
  readonly #cache: DecisionCache;

  constructor(hook: N, cache: DecisionCache) {
    this.#hook = hook;
    this.#cache = cache;
  }

  get(host: PluginHost, facts: EventFacts<N>): Kept<unknown> | undefined {
    return this.#cache.get(facts.session, this.#key(host, facts));
  }

  set(host: PluginHost, facts: EventFacts<N>, answer: Kept<unknown>): void {
    this.#cache.set(facts.session, this.#key(host, facts), answer);
  }

  /** All that a plugin's answer may depend on, the session aside. */
  #key({ manifest }: PluginHost, facts: EventFacts<N>): string {
    return `${manifest.name}\0${facts.user ? textOf(facts.user) : ""}\0${factsKey(this.#hook, facts)}`;
  }
}

/** What is asked, session and user aside. */
export function factsKey<N extends DecideHook>(hook: N, facts: EventFacts<N>): string {
  // The two that are asked again and again; paths have no NUL.
  if (hook === "filterPath" || hook === "authorize") {
    const { command, path, target, size } = facts as unknown as EventFacts<"authorize">;
    const named = `${hook}\0${command}\0${path}`;
    return target === undefined && size === undefined ? named : `${named}\0${size}\0${target}`;
  }
  return `${hook}\0${JSON.stringify({ ...facts, session: null, user: null })}`;
}

const texts = new WeakMap<User, string>();

/** A user never changes. */
function textOf(user: User): string {
  let text = texts.get(user);
  if (text === undefined) texts.set(user, text = JSON.stringify(user));
  return text;
}
