import { splitAddress } from "../base/address.ts";
import type { CertificateFacts } from "../base/client_trust.ts";
import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { EventSession, User } from "../hooks/event.ts";
import type { HookRunner } from "../hooks/runner.ts";
import { authenticator } from "../session/authenticator.ts";
import type { Authenticate, Claim } from "../session/doorkeeper.ts";
import { isSecure } from "../session/secure.ts";
import type { SessionEnd } from "../session/session_end.ts";
import type { Connection } from "../transport/transport.ts";
import { hookedLog } from "./hooked_log.ts";

export interface VisitOptions {
  readonly connection: Connection;
  readonly runner: HookRunner;
  readonly log: Log;
  readonly clock: Clock;
  /** Whether the client speaks the classic protocol. */
  readonly classic: boolean;
}

/** One client from its connection to its end, as plugins and the log know it. */
export class Visit {
  /** The same object in all events: answers are kept by it. */
  readonly session: EventSession;
  /** Names where the client is; once it was let in, also who it is. */
  log: Log;
  user: User = { name: "" };
  /** What must be there before the first request is answered; null: nothing. */
  preparing: Promise<void> | null = null;
  readonly authenticate: Authenticate;
  readonly classic: boolean;
  readonly #options: VisitOptions;
  readonly #begun: number;
  readonly #session: { id: string; certificate?: CertificateFacts };
  #refused = false;

  constructor(options: VisitOptions) {
    const { connection, runner, log, clock, classic } = options;
    const { remote } = connection;
    this.#options = options;
    this.classic = classic;
    this.#begun = clock.now();
    this.session = this.#session = sessionOf(connection);
    const whose = () => this.#session.id === "" ? { session: this.session } : this.#whose;
    this.log = hookedLog(log, runner, whose).with({
      remote,
      secure: this.session.secure,
      ...(classic ? { protocol: "classic" } : {}),
    });
    this.authenticate = authenticator(runner, { session: this.session, log: this.log });
  }

  get #whose() {
    return { session: this.session, user: this.user };
  }

  get seconds(): number {
    return Number(((this.#options.clock.now() - this.#begun) / 1000).toFixed(3));
  }

  /** Asks whether the connection is welcome; null or why not. */
  async refusal(): Promise<FshError | null> {
    const hooks = this.#options.runner.current;
    if (!hooks.has("connect")) return null;
    using _held = hooks.acquire();
    const [ruling] = await hooks.rule("connect", [{ session: this.session }]);
    if (ruling?.allow) return null;
    this.log.info("connection refused", { plugin: ruling?.by ?? undefined, reason: ruling?.reason });
    return new FshError("NOT_PERMITTED", { detail: ruling?.reason });
  }

  /** The client has proved to own a certificate. */
  certified(certificate: CertificateFacts): void {
    this.#session.certificate = certificate;
    this.log = this.log.with({ certificate: certificate.name });
  }

  /** The client was let in. */
  begin(id: string, user: User, method: string): void {
    this.#session.id = id;
    this.user = user;
    this.log = this.log.with({ session: id, user: user.name || undefined, method });
  }

  /** Nobody was let in: plugins hear of it once. */
  refuse(error: FshError, offer: { readonly user?: string; readonly method?: string } = {}): void {
    if (this.#refused) return;
    this.#refused = true;
    const { user, method } = offer;
    if (method !== undefined) this.log.info("login refused", { user, method, reason: error.detail });
    this.#options.runner.current.observe("failed", {
      session: this.session,
      ...(user === undefined ? {} : { user: { name: user } }),
      ...(method === undefined ? {} : { method }),
      target: undefined,
      size: undefined,
      bytes: undefined,
      seconds: this.seconds,
      error: errorFact(error),
    });
  }

  /** The session is over. `claim`: who wanted to come in, as far as that was said. */
  end(
    { how, error }: SessionEnd,
    { bytes, claim }: {
      readonly bytes: number;
      readonly claim: Claim | null;
    },
  ): void {
    // Who leaves before the answer has guessed all the same; who leaves because nothing fits has not.
    const refusal = claim?.refusal ?? (error?.error === "AUTH_FAILED" && !error.remote ? error : null);
    if (this.session.id === "" && refusal) this.refuse(refusal, claim ?? {});
    this.#options.runner.current.observe("disconnect", {
      ...(this.session.id === "" ? { session: this.session } : this.#whose),
      how: how === "graceful" ? how : how === "timed-out" ? "timeout" : "abrupt",
      bytes,
      seconds: this.seconds,
      error: error ? errorFact(error) : undefined,
    });
  }
}

/** An error as events have it. */
export function errorFact(error: FshError): { name: string; code: number; message: string } {
  return { name: error.error, code: error.code, message: error.message };
}

function sessionOf(connection: Connection): EventSession {
  return { id: "", ...splitAddress(connection.remote), secure: isSecure(connection) };
}
