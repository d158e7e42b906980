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

  get<N extends DecideHook>(host: PluginHost, hook: N, facts: EventFacts<N>): Reply | undefined {
    const kept = this.#sessions.get(facts.session)?.get(key(host, hook, facts));
    return kept && kept.until > performance.now() ? kept.reply : undefined;
  }

  set<N extends DecideHook>(
    host: PluginHost,
    hook: N,
    facts: EventFacts<N>,
    keep: { reply: Reply; seconds: number },
  ): void {
    let answers = this.#sessions.get(facts.session);
    if (!answers) this.#sessions.set(facts.session, answers = new Map());
    const oldest = answers.size >= MOST ? answers.keys().next().value : undefined;
    if (oldest !== undefined) answers.delete(oldest);
    answers.set(key(host, hook, facts), { reply: keep.reply, until: performance.now() + keep.seconds * 1000 });
  }

  forget<N extends DecideHook>(host: PluginHost, hook: N, facts: EventFacts<N>): void {
    const answers = this.#sessions.get(facts.session);
    answers?.delete(key(host, hook, facts));
  }
}

/** All that the answer may depend on, the session aside. */
function key<N extends DecideHook>(host: PluginHost, hook: N, facts: EventFacts<N>): string {
  const who = facts.user ? textOf(facts.user) : "";
  // The two that are asked again and again; paths have no NUL.
  if (hook === "filterPath" || hook === "authorize") {
    const { command, path, target, size } = facts as unknown as EventFacts<"authorize">;
    return `${host.manifest.name}\0${hook}\0${who}\0${command}\0${path}\0${size}\0${target}`;
  }
  return JSON.stringify([host.manifest.name, hook, { ...facts, session: null }]);
}

const texts = new WeakMap<User, string>();

/** A user never changes. */
function textOf(user: User): string {
  let text = texts.get(user);
  if (text === undefined) texts.set(user, text = JSON.stringify(user));
  return text;
}
