import { type ErrorName, FshError, toFshError } from "../base/errors.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { EventFacts } from "../hooks/event.ts";
import type { Questions } from "../hooks/inquirer.ts";
import type { Place } from "./command.ts";
import type { Question } from "./evaluator.ts";

/** What a path has to pass, in this order. */
export type Rule = "path" | "home" | "filterPath" | "expires" | "access" | "read-only" | "authorize" | "link";

/** Something that had a say in a decision. */
export interface Step {
  readonly rule: Rule;
  /** What it was asked about. */
  readonly path: string;
  /** The plugin. */
  readonly by?: string | null;
  /** The path from then on. */
  readonly became?: string;
  readonly reason?: string | undefined;
}

/** Whether something may be, and why. */
export interface Decision {
  /** Null where it may. */
  readonly error: FshError | null;
  /** Good where there is no error. */
  readonly place: Place;
  /** In the served folder, as far as it came; for events. */
  readonly virtual: string;
  readonly target: string | undefined;
  /** Who had a say; the last one refused it, where it is refused. */
  readonly steps: readonly Step[];
}

type Asked = Omit<Question, "path" | "follow"> & { readonly path?: string; readonly follow?: boolean };

/** A decision in the making. */
export class Case implements Decision {
  readonly question: Question;
  readonly steps: Step[] = [];
  asked: SafePath;
  virtual: SafePath;
  real: SafePath;
  target: string | undefined;
  error: FshError | null = null;
  /** What plugins were asked about it before its path was known for good; null where none were. */
  foreseen: { readonly facts: EventFacts<"authorize">; readonly questions: Questions<"authorize"> } | null = null;

  constructor(question: Asked, place?: Place) {
    const path = question.path ?? place?.asked ?? "";
    this.question = { ...question, path, follow: question.follow ?? false };
    // Until its syntax was looked at, a path is refused and nobody takes it for one.
    this.asked = this.virtual = this.real = path as SafePath;
    if (place) ({ asked: this.asked, virtual: this.virtual, real: this.real } = place);
    this.target = question.target;
  }

  get isOpen(): boolean {
    return this.error === null;
  }

  get place(): Place {
    const { asked, virtual, real } = this;
    return { asked, virtual, real };
  }

  step(step: Step): void {
    this.steps.push(step);
  }

  refuse(error: ErrorName, step: Step): void {
    this.step(step);
    const detail = step.reason;
    this.error = new FshError(error, { subject: this.question.path, detail });
  }

  /** As `refuse`, for an error that came from elsewhere: its subject may be no business of the client's. */
  fail(thrown: unknown, step: Step): void {
    const { error, detail, cause } = toFshError(thrown);
    this.step({ ...step, reason: detail });
    this.error = new FshError(error, { subject: this.question.path, detail, cause });
  }

  attempt(rule: Rule, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error, { rule, path: this.question.path });
    }
  }
}
