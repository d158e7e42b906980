import type { FshError } from "../base/errors.ts";
import type { EventSession, User } from "../hooks/event.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import type { Deed, Report } from "../session/command.ts";
import type { Subject } from "../session/guard.ts";
import { errorFact } from "./visit.ts";

export interface ReportOptions {
  readonly hooks: HookSet;
  readonly session: EventSession;
  readonly user: User;
  readonly command: string;
  readonly transfer: string;
  /** Seconds since the request came. */
  readonly seconds: () => number;
  /** What the request is about, as far as that is known. */
  readonly subject: () => Subject | null;
}

/** Tells the plugins that observe what a request did and what came of it. */
export class RequestReport implements Report {
  readonly heard: boolean;
  bytes: number | undefined;
  digest: string | undefined;
  readonly #options: ReportOptions;
  #answered = false;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.heard = options.hooks.has("committed", "completed", "failed");
  }

  get transfer(): string {
    return this.#options.transfer;
  }

  committed(deed: Deed): void {
    if (this.heard) this.#options.hooks.observe("committed", this.#facts(deed));
  }

  answered(deed: Deed, error: FshError | null = null): void {
    this.#answered = true;
    if (this.heard) this.#end(deed, error);
  }

  /** The request as a whole is over. What was told file by file is not told again. */
  finished(error: FshError | null): void {
    if (!this.heard || (this.#answered && !error)) return;
    const { bytes, digest } = this;
    const { target, size } = this.#options.subject() ?? {};
    this.#end({ bytes, digest, target, size }, error);
  }

  #end(deed: Deed, error: FshError | null): void {
    const { hooks } = this.#options;
    const { digest, ...facts } = this.#facts(deed);
    if (error) hooks.observe("failed", { ...facts, error: errorFact(error) });
    else hooks.observe("completed", { ...facts, digest });
  }

  #facts({ place, target, command, transfer, size, bytes, digest }: Deed) {
    const { session, user, subject, seconds } = this.#options;
    const path = place ? place.virtual : this.#answered ? undefined : subject()?.path;
    return {
      session,
      user,
      command: command ?? this.#options.command,
      ...(path === undefined ? {} : { path }),
      target,
      size,
      transfer: transfer ?? this.transfer,
      bytes,
      seconds: seconds(),
      digest,
    };
  }
}
