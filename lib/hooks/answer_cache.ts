import type { EventFacts, EventSession, User } from "./event.ts";
import type { DecideHook } from "./hooks.ts";
import type { PluginHost, Reply } from "./host.ts";

/** Answers that one session may have in the cache. */
const MOST = 4096;

interface Kept {
  readonly reply: Reply;
  /** As `performance.now()` has it. */
  readonly until: number;
}

/** Answers of plugins that said how long they hold; per session, and gone with it. */
export class AnswerCache {
  readonly #sessions = new WeakMap<EventSession, Map<string, Kept>>();

  get<N extends DecideHook>(host: PluginHost, hook: N, facts: EventFacts<N>): Kept | undefined {
    const kept = this.#sessions.get(facts.session)?.get(answerKey(host, hook, facts));
    return kept && kept.until > performance.now() ? kept : undefined;
  }

  set<N extends DecideHook>(host: PluginHost, hook: N, facts: EventFacts<N>, kept: Kept): void {
    let answers = this.#sessions.get(facts.session);
    if (!answers) this.#sessions.set(facts.session, answers = new Map());
    const oldest = answers.size >= MOST ? answers.keys().next().value : undefined;
    if (oldest !== undefined) answers.delete(oldest);
    answers.set(answerKey(host, hook, facts), kept);
  }
}

/** All that a plugin's answer may depend on, the session aside. */
function answerKey<N extends DecideHook>({ manifest }: PluginHost, hook: N, facts: EventFacts<N>): string {
  return `${manifest.name}\0${facts.user ? textOf(facts.user) : ""}\0${factsKey(hook, facts)}`;
}

/** What is asked, session and user aside. */
export function factsKey<N extends DecideHook>(hook: N, facts: EventFacts<N>): string {
  // The two that are asked again and again; paths have no NUL.
  if (hook === "filterPath" || hook === "authorize") {
    const { command, path, target, size } = facts as unknown as EventFacts<"authorize">;
    const named = `${command}\0${path}`;
    return target === undefined && size === undefined ? named : `${named}\0${size}\0${target}`;
  }
  return JSON.stringify({ ...facts, session: null, user: null });
}

const texts = new WeakMap<User, string>();

/** A user never changes. */
function textOf(user: User): string {
  let text = texts.get(user);
  if (text === undefined) texts.set(user, text = JSON.stringify(user));
  return text;
}
