import { type Clock, sleep, systemClock } from "../base/clock.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { RateLimiter } from "../base/rate_limiter.ts";
import { VERSION } from "../base/version.ts";
import { safePath } from "../base/virtual_path.ts";
import { makeFolders } from "../commands/mkdir.ts";
import type { User } from "../hooks/event.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import { HookRunner } from "../hooks/runner.ts";
import type { CommandContext } from "../session/command.ts";
import type { Authenticate, SessionLimits } from "../session/handshake.ts";
import { METHODS } from "../session/methods.ts";
import { ServerLoad, type SessionLoad } from "../session/load.ts";
import { Session } from "../session/session.ts";
import type { SessionEnd } from "../session/session_end.ts";
import type { Stream } from "../session/stream.ts";
import type { Storage } from "../storage/storage.ts";
import type { Connection, Listener, Transport } from "../transport/transport.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Message } from "../wire/codec.ts";
import { ZSTD } from "../wire/compression.ts";
import { hookedLog } from "./hooked_log.ts";
import { serveRequest } from "./request.ts";
import { Visit } from "./visit.ts";

/** Pauses after a failed accept, in milliseconds: the first, and the longest. */
const ACCEPT_PAUSE = { first: 50, longest: 1000 };

/** Connections accepted in a second while transfers move; more wait in the system's queue, where they cost nothing. */
const ACCEPTS = 500;

/** Milliseconds without a session after which the server counts as idle. */
const IDLE_AFTER = 500;

export interface ServerOptions {
  readonly transport: Transport;
  readonly storage: Storage;
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  readonly log: Log;
  /** The plugins that decide and observe; by default there are none. */
  readonly hooks?: HookRunner;
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
  readonly #log: Log;
  readonly #load: ServerLoad;
  readonly #hooks: HookRunner;
  /** Connections about which the plugins are being asked. */
  readonly #arriving = new Set<Connection>();
  #sessionNumber = 0;
  #closing = false;
  #cancelIdle: (() => void) | null = null;

  private constructor(options: ServerOptions, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
    this.#load = new ServerLoad(options.clock ?? systemClock);
    this.#hooks = options.hooks ?? new HookRunner();
    this.#log = hookedLog(options.log, this.#hooks);
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
    for (const connection of this.#arriving) connection.abort();
    const error = new FshError("GOING_AWAY", { subject: this.url });
    await Promise.all([...this.#sessions].map((session) => session.close({ limit: options.limit, error })));
    await this.#accepting;
    await Promise.allSettled(this.#commands);
    this.#load.close();
  }

  async #acceptLoop(): Promise<void> {
    const log = this.#log;
    const pace = new RateLimiter(ACCEPTS, this.#options.clock);
    let pause = 0;
    while (!this.#closing) {
      try {
        if (this.#load.work.anyMove) await pace.take(1);
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
    const { maxSessions, log, clock = systemClock } = this.#options;
    const visit = new Visit({ connection, runner: this.#hooks, log, clock });
    if (this.#sessions.size + this.#arriving.size >= maxSessions) {
      visit.log.warn("connection refused", { reason: `${maxSessions} sessions already` });
      return this.#refuse(connection, visit, new FshError("TOO_MANY_SESSIONS", { detail: `at most ${maxSessions}` }));
    }
    const greeted = this.#hooks.current.has("connect") ? this.#greet(connection, visit) : this.#run(connection, visit);
    greeted.catch((error) => this.#log.error("a session failed", { error: String(error) }));
  }

  /** Asks the plugins first. */
  async #greet(connection: Connection, visit: Visit): Promise<void> {
    this.#arriving.add(connection);
    const refusal = await visit.refusal().finally(() => this.#arriving.delete(connection));
    if (this.#closing) return connection.abort();
    if (refusal) return this.#refuse(connection, visit, refusal);
    await this.#run(connection, visit);
  }

  /** Tells why, in FSH/1, and closes. */
  #refuse(connection: Connection, visit: Visit, error: FshError): void {
    visit.refuse(error);
    const session = this.#session(connection, visit.log, {
      serve: async () => {},
      // Whoever talks on while the door closes is not let in.
      authenticate: () => Promise.reject(error),
    });
    session.start().catch(() => {});
    session.close({ error }).catch(() => {});
  }

  async #run(connection: Connection, visit: Visit): Promise<void> {
    const { storage, readOnly, limiter, clock = systemClock } = this.#options;
    const { log } = visit;
    const load = this.#load.join();
    const { authenticate = visit.authenticate } = this.#options;
    const admit = (user: User, method: string) => {
      const name = String(++this.#sessionNumber);
      visit.begin(name, user, method);
      visit.preparing = readOnly || user.home === undefined ? null : makeHome(storage, user.home, visit.log);
      return name;
    };
    const serve = (stream: Stream, request: Message) => {
      const options = { visit, storage, readOnly, limiter, clock, puts: this.#puts, work: load.work };
      const serving = serveRequest(stream, request, { ...options, hooks: this.#hooks.current });
      const command = serving.catch(() => {}).finally(() => this.#commands.delete(command));
      this.#commands.add(command);
      return serving;
    };
    const session = this.#session(connection, log, { serve, authenticate, admit, load });
    this.#sessions.add(session);
    try {
      await session.start();
      const { agent, heartbeat, misses } = session.terms ?? {};
      const { session: name, user } = session.identity;
      log.info("session opened", { session: name, user: user.name, agent, heartbeat, misses });
    } catch (error) {
      // Told at once: the session's last words take a while. All else is said with the end below.
      if (isError(error, "AUTH_FAILED") && !error.remote) visit.refuse(error, session.claim ?? {});
    }
    const end = await session.ended;
    this.#sessions.delete(session);
    this.#watchIdle();
    visit.end(end, { bytes: session.received + session.sent, claim: session.claim });
    logEnd(log, end, {
      session: session.identity.session || undefined,
      seconds: visit.seconds,
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
    answers: {
      readonly serve: (stream: Stream, request: Message) => Promise<void>;
      readonly authenticate: Authenticate;
      readonly admit?: (user: User, method: string) => string;
      readonly load?: SessionLoad;
    },
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
      methods: this.#options.methods ?? offered(this.#hooks.current),
      ...answers,
    });
  }
}

/** Ways to come in: everybody may where no plugin knows accounts; otherwise those of the plugins that do. */
function offered(hooks: HookSet): readonly string[] {
  if (!hooks.has("authenticate")) return ["anonymous"];
  return METHODS.filter((method) => hooks.methods.includes(method));
}

/** A user's home is there from the first visit on. */
async function makeHome(storage: Storage, home: string, log: Log): Promise<void> {
  try {
    await makeFolders(storage, safePath(home));
  } catch (error) {
    log.warn("a user's home can't be made", { home, reason: toFshError(error).message });
  }
}

/** One line that says how a session ended and why. */
function logEnd(log: Log, end: SessionEnd, facts: Record<string, string | number | undefined>): void {
  const fields = { how: end.how, ...facts, error: end.error?.error, reason: end.error?.message };
  if (end.how === "graceful") log.info("session ended", fields);
  else if (isError(end.error, "CONNECTION_LOST") && facts.session === undefined) log.debug("session ended", fields);
  else log.warn("session ended", fields);
}
