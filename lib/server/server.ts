import type { CertificateFacts, ClientTrust } from "../base/client_trust.ts";
import { type Clock, sleep, systemClock } from "../base/clock.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import { MemoryBudget } from "../base/memory_budget.ts";
import { type Rate, RateLimiter } from "../base/rate_limiter.ts";
import { VERSION } from "../base/version.ts";
import { safePath } from "../base/virtual_path.ts";
import { makeFolders } from "../commands/mkdir.ts";
import type { User } from "../hooks/event.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import { HookRunner } from "../hooks/runner.ts";
import type { Authenticate, SessionLimits } from "../session/handshake.ts";
import { METHODS } from "../session/methods.ts";
import { RunningPuts } from "../session/running_puts.ts";
import { ServerLoad, type SessionLoad } from "../session/load.ts";
import { Session } from "../session/session.ts";
import { endOf, type SessionEnd } from "../session/session_end.ts";
import type { Storage } from "../storage/storage.ts";
import type { Connection, Listener, Transport } from "../transport/transport.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Message } from "../wire/codec.ts";
import { ZSTD } from "../wire/compression.ts";
import { ClassicSession } from "./classic_session.ts";
import { type Admissions, Entrance, type Visitor } from "./entrance.ts";
import { Farewell } from "./farewell.ts";
import { hookedLog } from "./hooked_log.ts";
import { type Bounds, limitOf, UNBOUNDED } from "./limits.ts";
import { LineLimit } from "./line_limit.ts";
import { Metrics } from "./metrics.ts";
import { CountedStorage, FileSlots } from "./open_files.ts";
import { Pace } from "./pace.ts";
import { serveRequest } from "./request.ts";
import { Roster } from "./roster.ts";
import type { Served, ServedStream } from "./served.ts";
import { Visit } from "./visit.ts";

/** Pauses after a failed accept, in milliseconds: the first, and the longest. */
const ACCEPT_PAUSE = { first: 50, longest: 1000 };

/** Connections accepted in a second while transfers move; more wait in the system's queue, where they cost nothing. */
const ACCEPTS = 500;

/** What one costs that was gone before it was accepted, of one that is there. */
const GONE = 0.1;

/** Milliseconds without a session after which the server counts as idle. */
const IDLE_AFTER = 500;

/**
 * What a session is offered while memory is short: its frames then need no more than every session can have. A window is no
 * promise of memory: a session whose frames nobody takes is not read.
 */
const MODEST = { maxData: 64 * 1024, window: 256 * 1024, maxStreams: 8 };

export interface ServerOptions {
  readonly transport: Transport;
  readonly storage: Storage;
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  /** For clients that speak the classic protocol; the server closes it. */
  readonly classic?: Listener | undefined;
  readonly log: Log;
  /** The plugins that decide and observe; by default there are none. */
  readonly hooks?: HookRunner;
  /** How often plugins have failed so far, for the metrics. */
  readonly pluginFailures?: () => number;
  readonly clock?: Clock;
  readonly limits: SessionLimits;
  readonly readOnly: boolean;
  /** Whether files may be sent without passing through this program, where the platform can. */
  readonly zeroCopy?: boolean;
  /** Holds all transfers together to a rate. */
  readonly limiter?: Rate | undefined;
  /** Who counts clients, where `maxSessions` and the bounds that belong to it are not this server's own. */
  readonly admissions?: Admissions;
  /** Stops a put that another server of the same storage runs, for an owner who continues it here. */
  readonly stopPut?: (id: string) => Promise<void>;
  readonly maxSessions: number;
  /** Further limits; by default there are none. */
  readonly bounds?: Partial<Bounds>;
  /** What all sessions together may hold; by default as much as they need. */
  readonly budget?: MemoryBudget;
  /** Ways to come in that are offered; by default, everybody may, without any proof. */
  readonly methods?: readonly string[];
  readonly authenticate?: Authenticate;
  /** Whose certificates are taken now; with it every client needs one. */
  readonly clientTrust?: (() => ClientTrust) | undefined;
  readonly handshakeTimeout: number;
  readonly idleTimeout: number;
  readonly stallTimeout: number;
  /** Called when the last session has been gone for a moment. */
  readonly onIdle?: () => void;
}

/** What a connection has been given on its way in. */
interface Admitted {
  readonly guest: Visitor;
  readonly memory: MemoryAccount;
}

/** Accepts connections and serves a storage to them. */
export class Server {
  readonly #options: ServerOptions;
  readonly #listener: Listener;
  readonly #sessions = new Set<Served>();
  /** Commands under way; one whose session has ended still finishes the step that it is in. */
  readonly #commands = new Set<Promise<void>>();
  readonly #puts: RunningPuts;
  readonly #accepting: Promise<unknown>;
  readonly #log: Log;
  readonly #load: ServerLoad;
  readonly #hooks: HookRunner;
  readonly #bounds: Bounds;
  readonly #clock: Clock;
  readonly #entrance: Admissions;
  readonly #farewell: Farewell;
  readonly #files: FileSlots;
  readonly #lines: LineLimit;
  readonly #pace: Pace | null;
  /** What it has counted so far. */
  readonly metrics: Metrics;
  /** Who is in, for the operator. */
  readonly roster: Roster;
  readonly #memory: MemoryBudget;
  /** Connections about which the plugins are being asked. */
  readonly #arriving = new Set<Connection>();
  #closing = false;
  #closed: Promise<void> | null = null;
  #cancelIdle: (() => void) | null = null;

  private constructor(options: ServerOptions, listener: Listener) {
    const { clock = systemClock, maxSessions } = options;
    const bounds = this.#bounds = { ...UNBOUNDED, ...options.bounds };
    this.#clock = clock;
    this.#listener = listener;
    this.#load = new ServerLoad(options.clock ?? systemClock);
    this.#hooks = options.hooks ?? new HookRunner();
    this.#memory = options.budget ?? new MemoryBudget({ bytes: Infinity });
    this.metrics = new Metrics(() => this.#live());
    this.roster = new Roster(clock);
    this.#puts = new RunningPuts(options.stopPut);
    this.#entrance = options.admissions ?? new Entrance({ ...bounds, sessions: maxSessions });
    this.#farewell = new Farewell(clock);
    this.#files = new FileSlots(bounds.files, clock);
    this.#lines = new LineLimit({ ...bounds.logLines, clock, suppressed: () => this.#suppressed() });
    this.#pace = bounds.minRate > 0 ? new Pace({ clock, least: bounds.minRate, sessions: this.#sessions }) : null;
    this.#options = { ...options, log: this.#lines.wrap(options.log) };
    this.#log = hookedLog(this.#options.log, this.#hooks);
    const { classic } = options;
    this.#accepting = Promise.all([
      this.#acceptLoop(listener),
      ...(classic ? [this.#acceptLoop(classic, { classic: true })] : []),
    ]);
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

  /** Stops a put that runs here; resolves once it has let go, at once if there is none. */
  stopPut(id: string): Promise<void> {
    return this.#puts.stopHere(id);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * No new sessions; running transfers may finish for `limit` milliseconds; the rest is told GOAWAY. Once it resolves,
   * nothing uses the storage any more.
   */
  close(options: { limit: number }): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options: { limit: number }): Promise<void> {
    this.#closing = true;
    this.#cancelIdle?.();
    this.#listener.close();
    this.#options.classic?.close();
    for (const connection of this.#arriving) connection.abort();
    this.#farewell.close();
    this.#pace?.stop();
    const error = new FshError("GOING_AWAY", { subject: this.url });
    await Promise.all([...this.#sessions].map((session) => session.close({ limit: options.limit, error })));
    await this.#accepting;
    await Promise.allSettled(this.#commands);
    this.#lines.flush();
    if (!this.#options.admissions) this.#log.info("stats", this.metrics.summary());
    this.#load.close();
  }

  async #acceptLoop(listener: Listener, { classic = false } = {}): Promise<void> {
    const log = this.#log;
    const pace = new RateLimiter(ACCEPTS, this.#options.clock);
    let [pause, cost] = [0, 1];
    while (!this.#closing) {
      try {
        if (this.#load.work.anyMove) await pace.take(cost);
        cost = 1;
        const connection = await listener.accept();
        if (pause > 0) log.info("accepting again");
        pause = 0;
        this.#take(connection, { classic });
      } catch (error) {
        if (this.#closing) return;
        if (isError(error, "CONNECTION_RESET")) {
          cost = GONE;
          continue;
        }
        // Out of descriptors, mostly: connections wait in the system's queue until some are free again.
        if (pause === 0) log.error("accepting connections fails, trying on", { error: toFshError(error).message });
        pause = Math.min(ACCEPT_PAUSE.longest, pause * 2 || ACCEPT_PAUSE.first);
        await sleep(pause);
      }
    }
  }

  #take(connection: Connection, { classic }: { readonly classic: boolean }): void {
    // It came in the same turn.
    if (this.#closing) return connection.abort();
    const visit = new Visit({ connection, runner: this.#hooks, log: this.#options.log, clock: this.#clock, classic });
    const entering = this.#entrance.enter(connection.remote);
    if (!(entering instanceof Promise)) return this.#entered(connection, visit, entering);
    this.#arriving.add(connection);
    entering.finally(() => this.#arriving.delete(connection)).then((guest) => {
      if (!this.#closing) return this.#entered(connection, visit, guest);
      connection.abort();
      if (!(guest instanceof FshError)) guest.leave();
    });
  }

  #entered(connection: Connection, visit: Visit, guest: Visitor | FshError): void {
    if (guest instanceof FshError) {
      visit.log.warn("connection refused", { error: guest.error, reason: guest.message });
      return this.#refuse(connection, visit, guest);
    }
    const memory = this.#memory.open();
    if (!memory) {
      guest.leave();
      const error = new FshError("NO_MEMORY", { detail: "try again later" });
      visit.log.warn("connection refused", { error: error.error, reason: error.message });
      return this.#refuse(connection, visit, error);
    }
    const own = { guest, memory };
    const greeted = this.#hooks.current.has("connect")
      ? this.#greet(connection, visit, own)
      : this.#run(connection, visit, own);
    greeted
      .catch((error) => this.#log.error("a session failed", { error: String(error) }))
      .finally(() => guest.leave());
  }

  /** Asks the plugins first. */
  async #greet(connection: Connection, visit: Visit, own: Admitted): Promise<void> {
    this.#arriving.add(connection);
    const refusal = await visit.refusal().catch((error) => {
      own.memory.close(toFshError(error));
      connection.abort();
      throw error;
    }).finally(() => this.#arriving.delete(connection));
    if (this.#closing || refusal) own.memory.close(refusal ?? new FshError("GOING_AWAY"));
    if (this.#closing) return connection.abort();
    if (refusal) return this.#refuse(connection, visit, refusal);
    await this.#run(connection, visit, own);
  }

  /** Tells why, in FSH/1, and closes; the classic protocol has no words for it. */
  #refuse(connection: Connection, visit: Visit, error: FshError): void {
    this.metrics.refused(error);
    visit.refuse(error);
    if (visit.classic) return connection.close();
    this.#farewell.tell(connection, error);
  }

  async #run(connection: Connection, visit: Visit, { guest, memory }: Admitted): Promise<void> {
    const { readOnly, limiter } = this.#options;
    const [clock, metrics, bounds] = [this.#clock, this.metrics, this.#bounds];
    const storage = new CountedStorage(this.#options.storage, this.#files.join());
    const load = this.#load.join();
    const { authenticate = visit.authenticate } = this.#options;
    const admit = (user: User, method: string) => {
      // A name that nobody had to prove could be anybody's.
      const proved = method !== "anonymous" || visit.session.certificate !== undefined;
      const begin = (name: string) => {
        visit.begin(name, user, method);
        this.roster.enter(name, { session, user, method, secure: visit.session.secure });
        visit.preparing = readOnly || user.home === undefined ? null : makeHome(storage, user.home, visit.log);
        return name;
      };
      const name = guest.admit(proved ? user.name : null);
      return name instanceof Promise ? name.then(begin) : begin(name);
    };
    const serve = (stream: ServedStream, request: Message, wrong: FshError | null = null) => {
      const { work } = load;
      const options = { visit, storage, readOnly, limiter, clock, puts: this.#puts, metrics, bounds, work, wrong };
      const serving = serveRequest(stream, request, { ...options, hooks: this.#hooks.current });
      const done = this.roster.began(visit.session.id, stream, request);
      const failed = (error: unknown) => {
        const failure = toFshError(error);
        if (limitOf(failure)) load.refused();
        else if (!failure.remote) load.served();
      };
      const command = serving.then(() => load.served(), failed).finally(() => {
        done();
        this.#commands.delete(command);
      });
      this.#commands.add(command);
      return serving;
    };
    const certified = (facts: CertificateFacts) => visit.certified(facts);
    const overrun = (request: Message, error: FshError) => {
      load.refused();
      metrics.answered(request.name, error);
      visit.log.info("failed", { command: request.name, error: error.error, reason: error.message });
    };
    const answers = { serve, authenticate, admit, certified, overrun, memory, load };
    const session = this.#session(connection, visit, answers);
    this.#sessions.add(session);
    try {
      await session.start();
      const { agent, heartbeat, misses } = session.terms ?? {};
      const { session: name, user } = session.identity;
      metrics.opened++;
      visit.log.info("session opened", { session: name, user: user.name, agent, heartbeat, misses });
    } catch (error) {
      // Told at once: the session's last words take a while. All else is said with the end below.
      if (isError(error, "AUTH_FAILED", "TOO_MANY_OF_USER") && !error.remote) visit.refuse(error, session.claim ?? {});
      // Who hangs up was not refused.
      const failure = toFshError(error);
      if (!failure.remote && endOf(failure).how !== "abrupt") metrics.refused(failure);
    }
    const end = await session.ended;
    if (isError(end.error, "HOLDS_MEMORY") && !end.error.remote) metrics.hit("memory");
    this.#sessions.delete(session);
    this.roster.leave(visit.session.id);
    guest.leave();
    metrics.received += session.received;
    metrics.sent += session.sent;
    this.#watchIdle();
    visit.end(end, { bytes: session.received + session.sent, claim: session.claim });
    logEnd(visit.log, end, {
      session: session.identity.session || undefined,
      seconds: visit.seconds,
      received: session.received,
      sent: session.sent,
    });
  }

  #live() {
    let [received, sent] = [0, 0];
    for (const session of this.#sessions) received += session.received, sent += session.sent;
    const { here, unknown } = this.#entrance;
    const pluginFailures = this.#options.pluginFailures?.() ?? 0;
    return { sessions: here, unknown, files: this.#files.held, received, sent, pluginFailures };
  }

  #suppressed(): void {
    this.metrics.linesSuppressed++;
    this.metrics.hit("logLines");
  }

  #watchIdle(): void {
    const { onIdle } = this.#options;
    this.#cancelIdle?.();
    if (onIdle && this.#sessions.size === 0 && !this.#closing) {
      this.#cancelIdle = this.#clock.after(IDLE_AFTER, () => this.#sessions.size === 0 && onIdle());
    }
  }

  #session(
    connection: Connection,
    visit: Visit,
    answers: {
      readonly serve: (stream: ServedStream, request: Message, wrong?: FshError | null) => Promise<void>;
      readonly authenticate: Authenticate;
      readonly admit: (user: User, method: string) => string | Promise<string>;
      readonly certified: (facts: CertificateFacts) => void;
      readonly overrun: (request: Message, error: FshError) => void;
      readonly memory: MemoryAccount;
      readonly load: SessionLoad;
    },
  ): Served {
    const { limits, handshakeTimeout, idleTimeout, stallTimeout, zeroCopy = true } = this.#options;
    const { log } = visit;
    const methods = this.#options.methods ?? offered(this.#hooks.current);
    if (visit.classic) {
      const timeouts = { idle: idleTimeout, command: handshakeTimeout, stall: stallTimeout };
      return new ClassicSession(connection, {
        ...answers,
        log,
        clock: this.#clock,
        timeouts,
        zeroCopy,
        // A certificate is nothing that a classic client could show.
        methods: this.#options.clientTrust ? [] : methods,
      });
    }
    return new Session(connection, {
      role: "server",
      log,
      clock: this.#clock,
      limits: this.#memory.isTight ? { ...limits, ...MODEST } : limits,
      handshakeTimeout,
      idleTimeout,
      stallTimeout,
      agent: `fsh/${VERSION}`,
      capabilities: this.#options.readOnly ? [ZSTD] : [ZSTD, "write"],
      zeroCopy,
      methods,
      clientTrust: this.#options.clientTrust?.(),
      missed: () => void this.metrics.heartbeatsMissed++,
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
  // Strangers, who said nothing or no word of TLS.
  else if (isError(end.error, "CONNECTION_LOST", "TLS_FAILED") && facts.session === undefined) {
    log.debug("session ended", fields);
  } else log.warn("session ended", fields);
}
