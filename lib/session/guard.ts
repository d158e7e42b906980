import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { isWithin, relativePath, type SafePath } from "../base/virtual_path.ts";
import type { PathGuard, PathUse, Place } from "./command.ts";
import type { Decision } from "./decision.ts";
import type { Evaluator } from "./evaluator.ts";

/** Places of one request that its errors may be about; later ones are told as the first. */
const MOST_KNOWN = 64;

export interface GuardOptions {
  readonly evaluator: Evaluator;
  /** The request's name in lower case. */
  readonly command: string;
  /** Whether the request changes anything. */
  readonly writes: boolean;
  readonly log: Log;
}

/** What a request is about, as events have it. */
export interface Subject {
  readonly path: string;
  readonly target: string | undefined;
  readonly size: number | null | undefined;
}

/** Guards the paths of one request: nothing of it reaches the storage but through here. */
export class Guard implements PathGuard {
  readonly #options: GuardOptions;
  readonly #known: Place[] = [];
  /** Refusals, which name paths as the client did. */
  readonly #own = new WeakSet<FshError>();
  /** What the request named first. */
  subject: Subject | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  get strict(): boolean {
    return this.#options.evaluator.strict;
  }

  async admit(path: string, use: PathUse = {}): Promise<Place> {
    const [decision] = await this.#decide([{ ...use, path }]);
    if (!decision || decision.error) throw decision?.error ?? new FshError("INTERNAL");
    if (this.strict && this.#known.length < MOST_KNOWN) this.#known.push(decision.place);
    return decision.place;
  }

  admitAll(wishes: readonly (PathUse & { readonly path: string })[]): Promise<readonly Decision[]> {
    return this.#decide(wishes);
  }

  below(folder: Place, names: readonly string[], command = this.#options.command): Promise<(Place | null)[]> {
    return this.#options.evaluator.below(folder, names, command);
  }

  async allow(
    wishes: readonly { readonly place: Place; readonly target?: Place }[],
    command = this.#options.command,
  ): Promise<(FshError | null)[]> {
    const { evaluator, writes: write } = this.#options;
    const questions = wishes.map(({ place, target }) => ({
      place,
      command,
      write,
      ...(target === undefined ? {} : { target: target.virtual }),
    }));
    return this.#note(await evaluator.decideKnown(questions), command).map(({ error }) => error);
  }

  async admitLink(place: Place, real: SafePath): Promise<void> {
    const command = "get";
    const question = { path: place.asked, command, write: false, follow: true };
    const { error } = await this.#options.evaluator.decideReal(real, question);
    if (!error) return;
    const detail = "where the link would lead, this user may not read";
    throw new FshError("NOT_PERMITTED", { subject: place.asked, detail, cause: error });
  }

  /** The error as the client may see it: about its own paths, not about those of the served folder. */
  told(error: FshError): FshError {
    const { subject, detail, cause, remote } = error;
    if (!this.strict || remote || this.#own.has(error) || subject === undefined || !subject.startsWith("/")) {
      return error;
    }
    const asked = this.#askedFor(subject);
    return asked === subject ? error : new FshError(error.error, { subject: asked, detail, cause });
  }

  #askedFor(subject: string): string | undefined {
    // A command's own complaint.
    if (this.#known.some(({ asked }) => asked === subject)) return subject;
    for (const { asked, real } of this.#known) {
      if (!isWithin(subject as SafePath, real)) continue;
      const rest = subject === real ? "" : relativePath(real, subject as SafePath);
      return rest === "" ? asked : `${asked === "/" ? "" : asked}/${rest}`;
    }
    return this.#known[0]?.asked ?? subject;
  }

  async #decide(wishes: readonly (PathUse & { readonly path: string })[]): Promise<readonly Decision[]> {
    const { evaluator, command, writes } = this.#options;
    const questions = wishes.map((wish) => {
      const { write = writes, follow = !write } = wish;
      return { command, ...wish, write, follow };
    });
    const decisions = await evaluator.decide(questions);
    const [first] = decisions;
    if (first) this.subject ??= { path: first.virtual, target: first.target, size: wishes[0]?.size };
    return this.#note(decisions, command);
  }

  /** Whatever a rule refuses is said in the log: what, and by which rule of which plugin. */
  #note(decisions: readonly Decision[], command: string): readonly Decision[] {
    for (const { error, steps, virtual } of decisions) {
      if (error) this.#own.add(error);
      const last = steps.at(-1);
      if (!error || !last || last.rule === "path") continue;
      const { rule, by, reason } = last;
      this.#options.log.info("refused", { command, path: virtual, rule, plugin: by ?? undefined, reason });
    }
    return decisions;
  }
}
