import { type Clock, sleep, systemClock } from "../base/clock.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { RateLimiter } from "../base/rate_limiter.ts";
import { VERSION } from "../base/version.ts";
import { COMMANDS } from "../commands/registry.ts";
import type { CommandContext } from "../session/command.ts";
import { Guard } from "../session/guard.ts";
import type { Authenticate, SessionLimits } from "../session/handshake.ts";
import { Session } from "../session/session.ts";
import type { SessionEnd } from "../session/session_end.ts";
import type { Stream } from "../session/stream.ts";
import type { Storage } from "../storage/storage.ts";
import type { Connection, Listener, Transport } from "../transport/transport.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Message } from "../wire/codec.ts";
import { ZSTD } from "../wire/compression.ts";
import type { RequestName } from "../wire/frames.ts";

/** Pauses after a failed accept, in milliseconds: the first, and the longest. */
const ACCEPT_PAUSE = { first: 50, longest: 1000 };

/** Milliseconds without a session after which the server counts as idle. */
const IDLE_AFTER = 500;

export interface ServerOptions {
  readonly transport: Transport;
  readonly storage: Storage;
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  readonly log: Log;
  readonly clock?: Clock;
  readonly limits: SessionLimits;
  readonly readOnly: boolean;
  /** Whether files may be sent without passing through this program, where the platform can. */
  readonly zeroCopy?: boolean;
  /** Holds all transfers together to a rate. */
  readonly limiter?: RateLimiter | undefined;
  readonly maxSessions: number;
  /** Ways to come in that are offered; by default, everybody may, without any proof. */
  readonly methods?: readonly string[];
  readonly authenticate?: Authenticate;
  readonly handshakeTimeout: number;
  readonly idleTimeout: number;
  readonly stallTimeout: number;
  /** Called when the last session has been gone for a moment. */
  readonly onIdle?: () => void;
}

/** Accepts connections and serves a storage to them. */
export class Server {
  readonly #options: ServerOptions;
  readonly #listener: Listener;
  readonly #sessions = new Set<Session>();
  /** Commands under way; one whose session has ended still finishes the step that it is in. */
  readonly #commands = new Set<Promise<void>>();
  readonly #puts: CommandContext["puts"] = new Map();
  readonly #accepting: Promise<void>;
  #sessionNumber = 0;
  #closing = false;
  #cancelIdle: (() => void) | null = null;

  private constructor(options: ServerOptions, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
    this.#accepting = this.#acceptLoop();
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST */
  static async start(options: ServerOptions): Promise<Server> {
    const { transport, hostname, port } = options;
    return new Server(options, await transport.listen({ hostname, port }));
  }

  get port(): number {
    return this.#listener.port;
  }

  get url(): string {
    return `${this.#options.transport.scheme}://${formatAddress(this.#listener.hostname, this.#listener.port)}/`;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * No new sessions; running transfers may finish for `limit` milliseconds; the rest is told GOAWAY. Once it resolves,
   * nothing uses the storage any more.
   */
  async close(options: { limit: number }): Promise<void> {
    this.#closing = true;
    this.#cancelIdle?.();
    this.#listener.close();
    const error = new FshError("GOING_AWAY", { subject: this.url });
    await Promise.all([...this.#sessions].map((session) => session.close({ limit: options.limit, error })));
    await this.#accepting;
    await Promise.allSettled(this.#commands);
  }

  async #acceptLoop(): Promise<void> {
    const { log } = this.#options;
    let pause = 0;
    while (!this.#closing) {
      try {
        const connection = await this.#listener.accept();
        if (pause > 0) log.info("accepting again");
        pause = 0;
        this.#take(connection);
      } catch (error) {
        if (this.#closing) return;
        // Out of descriptors, mostly: connections wait in the system's queue until some are free again.
        if (pause === 0) log.error("accepting connections fails, trying on", { error: toFshError(error).message });
        pause = Math.min(ACCEPT_PAUSE.longest, pause * 2 || ACCEPT_PAUSE.first);
        await sleep(pause);
      }
    }
  }

  #take(connection: Connection): void {
    const { maxSessions, log } = this.#options;
    if (this.#sessions.size >= maxSessions) {
      log.warn("connection refused", { remote: connection.remote, reason: `${maxSessions} sessions already` });
      return this.#refuse(connection, new FshError("TOO_MANY_SESSIONS", { detail: `at most ${maxSessions}` }));
    }
    this.#run(connection).catch((error) => log.error("a session failed", { error: String(error) }));
  }

  /** Tells why, in FSH/1, and closes. */
  #refuse(connection: Connection, error: FshError): void {
    const session = this.#session(connection, this.#options.log, async () => {});
    session.start().catch(() => {});
    session.close({ error }).catch(() => {});
  }

  async #run(connection: Connection): Promise<void> {
    const { storage, readOnly, limiter, clock = systemClock } = this.#options;
    const log = this.#options.log.with({ remote: connection.remote });
    const guard = new Guard({ readOnly });
    const begun = clock.now();
    const session: Session = this.#session(connection, log, (stream, request) => {
      const context = { storage, guard, log, limiter, puts: this.#puts, user: session.identity.user.name };
      const serving = this.#serve(stream, request, context);
      const command = serving.catch(() => {}).finally(() => this.#commands.delete(command));
      this.#commands.add(command);
      return serving;
    });
    this.#sessions.add(session);
    try {
      await session.start();
      const { agent, heartbeat, misses } = session.terms ?? {};
      const { session: name, user } = session.identity;
      log.info("session opened", { session: name, user: user.name, agent, heartbeat, misses });
    } catch {
      // Said with the end below.
    }
    const end = await session.ended;
    this.#sessions.delete(session);
    this.#watchIdle();
    logEnd(log, end, {
      session: session.identity.session || undefined,
      seconds: Number(((clock.now() - begun) / 1000).toFixed(3)),
      received: session.received,
      sent: session.sent,
    });
  }

  #watchIdle(): void {
    const { onIdle, clock = systemClock } = this.#options;
    this.#cancelIdle?.();
    if (onIdle && this.#sessions.size === 0 && !this.#closing) {
      this.#cancelIdle = clock.after(IDLE_AFTER, () => this.#sessions.size === 0 && onIdle());
    }
  }

  #session(
    connection: Connection,
    log: Log,
    serve: (stream: Stream, request: Message) => Promise<void>,
  ): Session {
    const { limits, clock = systemClock, handshakeTimeout, idleTimeout, stallTimeout } = this.#options;
    return new Session(connection, {
      role: "server",
      log,
      clock,
      limits,
      handshakeTimeout,
      idleTimeout,
      stallTimeout,
      agent: `fsh/${VERSION}`,
      capabilities: this.#options.readOnly ? [ZSTD] : [ZSTD, "write"],
      zeroCopy: this.#options.zeroCopy ?? true,
      methods: this.#options.methods ?? ["anonymous"],
      authenticate: this.#options.authenticate ?? (({ user }) => ({ user: { name: user } })),
      nameSession: () => String(++this.#sessionNumber),
      serve,
    });
  }

  async #serve(stream: Stream, request: Message, context: CommandContext): Promise<void> {
    const { clock = systemClock } = this.#options;
    const name = request.name as RequestName;
    const begun = clock.now();
    const facts = () => ({
      command: name,
      path: "path" in request.fields ? request.fields.path : "from" in request.fields ? request.fields.from : undefined,
      seconds: Number(((clock.now() - begun) / 1000).toFixed(3)),
    });
    try {
      await COMMANDS[name].serve(stream, request.fields, context);
      context.log.debug("done", facts());
    } catch (error) {
      const failure = toFshError(error);
      context.log.info("failed", {
        ...facts(),
        error: failure.error,
        reason: failure.message,
        cause: causeOf(failure),
      });
      throw failure;
    }
  }
}

function causeOf(error: FshError): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}

/** One line that says how a session ended and why. */
function logEnd(log: Log, end: SessionEnd, facts: Record<string, string | number | undefined>): void {
  const fields = { how: end.how, ...facts, error: end.error?.error, reason: end.error?.message };
  if (end.how === "graceful") log.info("session ended", fields);
  else if (isError(end.error, "CONNECTION_LOST") && facts.session === undefined) log.debug("session ended", fields);
  else log.warn("session ended", fields);
}
