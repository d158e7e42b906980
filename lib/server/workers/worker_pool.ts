import { FshError, toFshError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Rate } from "../../base/rate_limiter.ts";
import type { HookRunner } from "../../hooks/runner.ts";
import { formatAddress } from "../../transport/transport.ts";
import type { Identity } from "../../transport/tls.ts";
import { Entrance } from "../entrance.ts";
import { hookedLog } from "../hooked_log.ts";
import { UNBOUNDED } from "../limits.ts";
import { LineLimit } from "../line_limit.ts";
import { type Metric, Metrics } from "../metrics.ts";
import type { Place, WorkerStart } from "./calls.ts";
import type { Shared } from "./desk.ts";
import { countersOf, sumFacts, sumMetrics } from "./metrics_sum.ts";
import { Rosters } from "./rosters.ts";
import { type Thread, WorkerThread } from "./worker_thread.ts";

/** Pauses before a worker is started again, in milliseconds: the first, and the longest; each doubles the one before. */
const RESTART_PAUSE = { first: 100, longest: 30_000 };
/** A worker that lasted so long, in milliseconds, begins with the first pause again. */
const LASTED = 60_000;

export interface PoolOptions {
  /** How many. */
  readonly count: number;
  readonly spawn: () => Thread;
  readonly log: Log;
}

/** What is to be served, and by what rules; all numbers are those of the whole server. */
export interface PoolStart extends Omit<WorkerStart, "logLevel" | "chunk"> {
  readonly rate: Rate | undefined;
  readonly hooks: HookRunner;
  readonly pluginLog: Log;
  readonly pluginFailures: () => number;
}

/** One of the workers, whichever thread it is at the moment. */
interface Post {
  readonly number: number;
  /** Null while it is down. */
  thread: WorkerThread | null;
  pause: number;
  begun: number;
  restarting: number | undefined;
  /** As it was last told. */
  counted: readonly Metric[];
}

/**
 * A server of several event loops: threads that listen on one port, over which the system spreads connections. Who may come
 * in, plugins, log and whatever else concerns all of them is decided in this thread.
 */
export class WorkerPool {
  readonly hostname: string;
  readonly port: number;
  readonly #options: PoolOptions;
  readonly #posts: Post[];
  #place: Place;
  #start: PoolStart | null = null;
  #shared: Shared | null = null;
  #lines: LineLimit | null = null;
  readonly #own: Metrics;
  /** Counters of workers that have ended, as they were last told. */
  #past: readonly Metric[] = [];
  #closing: Promise<void> | null = null;

  private constructor(options: PoolOptions, place: Place, threads: readonly WorkerThread[]) {
    this.#options = options;
    this.#place = place;
    this.hostname = place.hostname;
    this.port = place.port;
    const [pause, begun] = [RESTART_PAUSE.first, performance.now()];
    this.#posts = threads.map((thread, index) => {
      return { number: index + 1, thread, pause, begun, restarting: undefined, counted: [] };
    });
    this.#own = new Metrics(() => {
      const pluginFailures = this.#start?.pluginFailures() ?? 0;
      return { sessions: 0, unknown: 0, files: 0, received: 0, sent: 0, pluginFailures };
    });
    for (const post of this.#posts) this.#watch(post);
  }

  /** Starts the threads, which listen and do not serve yet. @throws {FshError} as `Transport.listen`, WORKER_LOST */
  static async listen(options: PoolOptions, place: Place): Promise<WorkerPool> {
    const threads: WorkerThread[] = [];
    const spawn = () => {
      const thread = new WorkerThread(options.spawn());
      threads.push(thread);
      return thread;
    };
    try {
      // The first one says which port and address the others are to take.
      const own = { ...place, ...await spawn().listen(place) };
      await Promise.all(Array.from({ length: options.count - 1 }, () => spawn().listen(own)));
      return new WorkerPool(options, own, threads);
    } catch (error) {
      for (const thread of threads) thread.end();
      throw error;
    }
  }

  get scheme(): string {
    return this.#place.identity ? "fshs" : "fsh";
  }

  get url(): string {
    return `${this.scheme}://${formatAddress(this.hostname, this.port)}/`;
  }

  /** Clients that are here. */
  get sessionCount(): number {
    return this.#shared?.entrance.here ?? 0;
  }

  /** What all workers have counted so far. */
  readonly metrics = { all: (): Promise<Metric[]> => this.#metrics() };

  /** Who is in, for the operator. */
  readonly roster = new Rosters(() => this.#posts.flatMap(({ thread }) => thread ? [thread] : []));

  /** @throws {FshError} as `LocalStorage.open`, WORKER_LOST */
  async serve(start: PoolStart): Promise<void> {
    const { log } = this.#options;
    const { settings: { bounds = {}, maxSessions }, rate, hooks, pluginLog } = start;
    this.#start = start;
    const lines = this.#lines = new LineLimit({
      ...bounds.logLines ?? UNBOUNDED.logLines,
      suppressed: () => {
        this.#own.linesSuppressed++;
        this.#own.hit("logLines");
      },
    });
    const entrance = new Entrance({ ...UNBOUNDED, ...bounds, sessions: maxSessions });
    this.#shared = { entrance, rate, hooks, log: lines.wrap(log), pluginLog };
    await Promise.all(this.#posts.map((post) => this.#serve(post)));
  }

  /** As `Server.close`, of all workers. */
  close({ limit }: { readonly limit: number }): Promise<void> {
    this.#closing ??= this.#close(limit);
    return this.#closing;
  }

  /** Ends all threads at once. */
  end(): void {
    this.#closing ??= Promise.resolve();
    for (const { thread, restarting } of this.#posts) {
      clearTimeout(restarting);
      thread?.end();
    }
  }

  /** From now on new connections meet this certificate. @throws {FshError} as `TlsTransport.exchange` */
  async exchange(identity: Identity): Promise<void> {
    this.#place = { ...this.#place, identity };
    await this.#all((thread) => thread.line.ask("identity", identity));
  }

  /** From now on certificates of these count. */
  async trust(clientTrust: string): Promise<void> {
    if (this.#start) this.#start = { ...this.#start, clientTrust };
    await this.#all((thread) => thread.line.ask("clientTrust", clientTrust));
  }

  /** Asks all that are up. */
  #all<T>(ask: (thread: WorkerThread, post: Post) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#posts.flatMap((post) => post.thread ? [ask(post.thread, post)] : []));
  }

  async #close(limit: number): Promise<void> {
    for (const { restarting } of this.#posts) clearTimeout(restarting);
    await this.#all((thread) => thread.line.ask("close", limit).catch(() => {}));
    this.#lines?.flush();
    const summaries = await this.#all((thread) =>
      thread.line.ask("metrics", null).then(({ summary }) => summary, () => ({}))
    );
    const { log } = this.#options;
    if (this.#start) hookedLog(log, this.#start.hooks).info("stats", sumFacts([this.#own.summary(), ...summaries]));
    this.end();
  }

  async #metrics(): Promise<Metric[]> {
    await this.#all(async (thread, post) => {
      // One that fails meanwhile leaves what it last told.
      await thread.line.ask("metrics", null).then(({ all }) => post.counted = all, () => {});
    });
    return sumMetrics([this.#own.all(), this.#past, ...this.#posts.map(({ counted }) => counted)]);
  }

  /** A share of what is divided among the workers: of files, so that all of them together have all of them. */
  #share(start: PoolStart, number: number): WorkerStart {
    const { count } = this.#options;
    const { settings, folder, storage, memory, rate, clientTrust } = start;
    const files = settings.bounds?.files ?? Infinity;
    const own = files === Infinity ? files : Math.floor(files / count) + (number <= files % count ? 1 : 0);
    return {
      settings: { ...settings, bounds: { ...settings.bounds, files: own } },
      folder,
      storage,
      memory: Math.floor(memory / count),
      chunk: rate?.chunk ?? null,
      logLevel: this.#options.log.level,
      clientTrust,
    };
  }

  async #serve({ number, thread }: Post): Promise<void> {
    if (!this.#start || !this.#shared || !thread) throw new FshError("WORKER_LOST");
    const stopPut = async (id: string) => {
      await this.#all((one) => one === thread ? Promise.resolve() : one.line.ask("stopPut", id).catch(() => {}));
    };
    await thread.serve(this.#share(this.#start, number), { shared: this.#shared, number, stopPut });
  }

  /** A worker that ends by itself takes its sessions along, and is started again. */
  #watch(post: Post): void {
    void post.thread?.failed.then((reason) => {
      post.thread = null;
      this.#past = sumMetrics([this.#past, countersOf(post.counted)]);
      post.counted = [];
      if (this.#closing) return;
      if (performance.now() - post.begun > LASTED) post.pause = RESTART_PAUSE.first;
      const fields = { worker: post.number, reason, pause: post.pause / 1000 };
      this.#options.log.error("a worker has ended, and its sessions with it; it is started again", fields);
      this.#restartLater(post);
    });
  }

  #restartLater(post: Post): void {
    post.restarting = setTimeout(() => void this.#restart(post), post.pause);
    post.pause = Math.min(RESTART_PAUSE.longest, post.pause * 2);
  }

  async #restart(post: Post): Promise<void> {
    const { log, spawn } = this.#options;
    const thread = post.thread = new WorkerThread(spawn());
    post.begun = performance.now();
    try {
      await thread.listen(this.#place);
      await this.#serve(post);
      this.#watch(post);
      log.info("the worker runs again", { worker: post.number });
    } catch (error) {
      thread.end();
      post.thread = null;
      if (this.#closing) return;
      const fields = { worker: post.number, error: toFshError(error).message, pause: post.pause / 1000 };
      log.error("a worker can't be started again", fields);
      this.#restartLater(post);
    }
  }
}
