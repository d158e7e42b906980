import type { ErrorName } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
import { childPath, isWithin, ROOT, type SafePath, safePath } from "../base/virtual_path.ts";
import type { EventFacts, EventSession, User } from "../hooks/event.ts";
import type { Mapping, Ruling } from "../hooks/folds.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import type { Questions } from "../hooks/inquirer.ts";
import type { Storage } from "../storage/storage.ts";
import type { PathUse, Place } from "./command.ts";
import { Case, type Decision, type Step } from "./decision.ts";

type PathFacts = EventFacts<"filterPath">;

/** Paths that go to a plugin in one call. */
const BATCH = 256;

export interface EvaluatorOptions {
  readonly hooks: HookSet;
  readonly session: EventSession;
  readonly user: User;
  readonly readOnly: boolean;
  readonly storage: Pick<Storage, "resolve">;
}

/** What is wanted of a path. */
export interface Question extends Pick<PathUse, "target" | "size"> {
  /** As the client names it. */
  readonly path: string;
  readonly command: string;
  readonly write: boolean;
  readonly follow: boolean;
}

/** A place that is known, and what is wanted of it. */
export interface KnownQuestion extends Omit<Question, "path" | "follow"> {
  readonly place: Place;
}

/**
 * Decides what a user may do to a path, and does nothing itself: the server asks it for every request, `fsh explain` to
 * tell why. The only call to the storage is `resolve`, for a path that has been allowed as it is named.
 */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #home: SafePath;
  /** Whether names in the served folder may be others than the client's, or be refused one by one. */
  readonly strict: boolean;

  /** @throws {FshError} PATH_REJECTED for a home that is no acceptable path */
  constructor(options: EvaluatorOptions) {
    this.#options = options;
    this.#home = safePath(options.user.home ?? ROOT);
    this.strict = this.#home !== ROOT || options.hooks.has("filterPath", "authorize");
  }

  /** A decision for each, in their order; the plugins are asked about all of them together. */
  async decide(questions: readonly Question[]): Promise<Decision[]> {
    const cases = questions.map((question) => new Case(question));
    for (const one of cases) one.attempt("path", () => this.#begin(one));
    // What is known at once is not waited for: a wait takes longer than the rest of it.
    const mapping = this.#mapAll(cases);
    if (mapping) {
      this.#foresee(cases);
      await mapping;
    }
    for (const one of cases) this.#mayAtAll(one);
    const ruling = this.#authorize(cases, (one) => one.virtual);
    if (ruling) await ruling;
    if (this.strict) await this.#followLinks(cases);
    return cases;
  }

  /** As `decide`, for places that `below` found: their paths are known and free of links. */
  async decideKnown(questions: readonly KnownQuestion[]): Promise<Decision[]> {
    const cases = questions.map((question) => new Case(question, question.place));
    for (const one of cases) this.#mayAtAll(one);
    await this.#authorize(cases, (one) => one.virtual);
    await this.#authorize(cases.filter((one) => one.real !== one.virtual), (one) => one.real);
    return cases;
  }

  /** The objects of these names in a folder; null for one that is hidden, or whose path leads elsewhere. */
  async below(folder: Place, names: readonly string[], command: string): Promise<(Place | null)[]> {
    const places = names.map((name) => this.#child(folder, name));
    if (!this.#options.hooks.has("filterPath")) return places;
    await this.#keepOnly(places, { command, from: (place) => this.#join(place.asked), to: (place) => place.virtual });
    // Reached through a link: its own name counts as well.
    if (folder.real !== folder.virtual) {
      await this.#keepOnly(places, { command, from: (place) => place.real, to: (place) => place.real });
    }
    return places;
  }

  /** Whether the user may read what lies at `real`; for the places that symbolic links lead to. */
  async decideReal(real: SafePath, question: Question): Promise<Decision> {
    const one = new Case(question, { asked: real, virtual: real, real });
    await this.#followLinks([one], { always: true });
    return one;
  }

  /** Syntax and home. */
  #begin(one: Case): void {
    one.asked = safePath(one.question.path);
    one.virtual = one.real = this.#join(one.asked);
    if (this.#home !== ROOT) one.step({ rule: "home", path: one.asked, became: one.virtual });
    const { target } = one.question;
    if (target !== undefined) one.target = this.#targetOf(target);
  }

  /** The other end has a question of its own, which says what is wrong with it. */
  #targetOf(path: string): string {
    try {
      return this.#join(safePath(path));
    } catch {
      return path;
    }
  }

  #join(asked: SafePath): SafePath {
    if (this.#home === ROOT) return asked;
    return asked === ROOT ? this.#home : childPath(this.#home, asked.slice(1));
  }

  #child(folder: Place, name: string): Place | null {
    try {
      const asked = childPath(folder.asked, name);
      const virtual = folder.virtual === folder.asked ? asked : childPath(folder.virtual, name);
      return { asked, virtual, real: folder.real === folder.virtual ? virtual : childPath(folder.real, name) };
    } catch {
      // A name that no request could use.
      return null;
    }
  }

  #mapAll(cases: readonly Case[]): Promise<void> | undefined {
    if (!this.#options.hooks.has("filterPath")) return;
    const open = cases.filter((one) => one.isOpen);
    const paths: PathFacts[] = [];
    for (const { virtual, target, question: { command } } of open) {
      paths.push(this.#pathFacts(command, virtual));
      if (target !== undefined) paths.push(this.#pathFacts(command, target));
    }
    const known = this.#map(paths);
    if (known instanceof Promise) return known.then((mappings) => this.#mapped(open, mappings));
    this.#mapped(open, known);
  }

  /** Takes what became of the paths, and of the targets of those that have one. */
  #mapped(cases: readonly Case[], all: readonly Mapping[]): void {
    const mappings = all.values();
    for (const one of cases) {
      const mapping = mappings.next().value;
      const target = one.target === undefined ? undefined : mappings.next().value;
      // Of what is hidden there is nothing to tell; where it goes has a question of its own.
      if (target?.path) one.target = target.path;
      if (!mapping?.path) {
        one.refuse("NOT_FOUND", { rule: "filterPath", path: one.virtual, by: mapping?.by ?? null });
        continue;
      }
      const { path: became, by } = mapping;
      if (by !== null) one.step({ rule: "filterPath", path: one.virtual, by, became });
      one.attempt("filterPath", () => {
        one.virtual = one.real = safePath(became);
      });
    }
  }

  /** What holds for all paths alike. */
  #mayAtAll(one: Case): void {
    const refusal = one.isOpen ? this.#refusalAtAll(one) : null;
    if (refusal) one.refuse(refusal.error, { ...refusal.step, path: one.virtual });
  }

  #refusalAtAll({ question: { write } }: Case): { error: ErrorName; step: Omit<Step, "path"> } | null {
    const { user: { expires = Infinity, access }, readOnly } = this.#options;
    if (Date.now() >= expires) {
      return { error: "NOT_PERMITTED", step: { rule: "expires", reason: "the account has expired" } };
    }
    if (write && access === "read") {
      return { error: "NOT_PERMITTED", step: { rule: "access", reason: "this user may only read" } };
    }
    return write && readOnly ? { error: "READ_ONLY", step: { rule: "read-only" } } : null;
  }

  /** Most paths stay what they are: plugins that may be asked ahead can say as much while others look at the path. */
  #foresee(cases: readonly Case[]): void {
    const { hooks } = this.#options;
    if (!hooks.has("authorize") || cases.length > BATCH) return;
    for (const one of cases) {
      if (!one.isOpen || this.#refusalAtAll(one)) continue;
      const facts = this.#factsOf(one, one.virtual);
      const questions = hooks.foresee("authorize", facts);
      if (questions) one.foreseen = { facts, questions };
    }
  }

  /** What was foreseen, if the plugins were told what they would be told now. */
  #foreseen({ foreseen, target }: Case, path: SafePath): Case["foreseen"] {
    return foreseen?.facts.path === path && foreseen.facts.target === target ? foreseen : null;
  }

  #factsOf({ question: { command, size }, target }: Case, path: SafePath): EventFacts<"authorize"> {
    const { session, user } = this.#options;
    return { session, user, command, path, target, size };
  }

  #authorize(cases: readonly Case[], pathOf: (one: Case) => SafePath): Promise<void> | undefined {
    const { hooks } = this.#options;
    if (!hooks.has("authorize")) return;
    const open = cases.filter((one) => one.isOpen);
    const facts: EventFacts<"authorize">[] = [];
    const foreseen: (Questions<"authorize"> | null)[] = [];
    for (const one of open) {
      const path = pathOf(one);
      const early = this.#foreseen(one, path);
      facts.push(early?.facts ?? this.#factsOf(one, path));
      foreseen.push(early?.questions ?? null);
    }
    // Only what goes in one piece was foreseen.
    const known = inBatches(facts, (batch) => hooks.rule("authorize", batch, batch === facts ? foreseen : undefined));
    const take = (rulings: readonly Ruling[]) => {
      for (let at = 0; at < open.length; at++) this.#ruled(open[at] as Case, pathOf, rulings[at]);
    };
    if (known instanceof Promise) return known.then(take);
    take(known);
  }

  #ruled(one: Case, pathOf: (one: Case) => SafePath, ruling?: Ruling): void {
    const { allow, by, reason } = ruling ?? { allow: false, by: null };
    if (allow && by === null) return;
    const step = { rule: "authorize", path: pathOf(one), by, reason } as const;
    if (!allow) one.refuse("NOT_PERMITTED", step);
    else one.step(step);
  }

  /** Where symbolic links lead, which must be allowed like what was named. */
  async #followLinks(cases: readonly Case[], options: { readonly always: boolean } = { always: false }): Promise<void> {
    const led: Case[] = [];
    for (const one of cases) {
      if (!one.isOpen) continue;
      let inside: boolean;
      try {
        const real = this.#options.storage.resolve(one.virtual, { follow: one.question.follow });
        one.real = typeof real === "string" ? real : await real;
        if (one.real === one.virtual && !options.always) continue;
        inside = isWithin(one.real, this.#home) || isWithin(one.real, await this.#realHome());
      } catch (error) {
        one.fail(error, { rule: "link", path: one.virtual });
        continue;
      }
      one.step({ rule: "link", path: one.virtual, became: one.real });
      if (inside) led.push(one);
      else one.refuse("NOT_PERMITTED", { rule: "link", path: one.real, reason: "it leads out of the served folder" });
    }
    if (led.length === 0) return;
    const mappings = await this.#map(led.map(({ real, question: { command } }) => this.#pathFacts(command, real)));
    for (const [at, one] of led.entries()) {
      const { path, by } = mappings[at] ?? { path: null, by: null };
      if (path !== one.real) one.refuse("NOT_FOUND", { rule: "filterPath", path: one.real, by });
    }
    await this.#authorize(led, (one) => one.real);
  }

  /** Homes may lie behind links of the operator's. */
  async #realHome(): Promise<SafePath> {
    return await this.#options.storage.resolve(this.#home, { follow: true });
  }

  /** Makes null what `filterPath` does not lead from the one name to the other. */
  async #keepOnly(
    places: (Place | null)[],
    options: { command: string; from: (place: Place) => SafePath; to: (place: Place) => SafePath },
  ): Promise<void> {
    const { command, from, to } = options;
    const asked = places.flatMap((place, index) => place ? [{ place, index }] : []);
    const mappings = await this.#map(asked.map(({ place }) => this.#pathFacts(command, from(place))));
    for (const [at, { place, index }] of asked.entries()) {
      if (mappings[at]?.path !== to(place)) places[index] = null;
    }
  }

  #pathFacts(command: string, path: string): PathFacts {
    const { session, user } = this.#options;
    return { session, user, command, path };
  }

  #map(paths: readonly PathFacts[]): Soon<Mapping[]> {
    const { hooks } = this.#options;
    if (!hooks.has("filterPath")) return paths.map(({ path }) => ({ path, by: null }));
    return inBatches(paths, (batch) => hooks.map(batch));
  }
}

/** Hands a list over in pieces, and puts the answers together again. */
function inBatches<T, R>(all: readonly T[], ask: (some: readonly T[]) => Soon<R[]>): Soon<R[]> {
  return all.length <= BATCH ? ask(all) : inManyBatches(all, ask);
}

async function inManyBatches<T, R>(all: readonly T[], ask: (some: readonly T[]) => Soon<R[]>): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < all.length; at += BATCH) answers.push(...await ask(all.slice(at, at + BATCH)));
  return answers;
}
