import { ClientTrust } from "../../base/client_trust.ts";
import { FshError, isError } from "../../base/errors.ts";
import { Log } from "../../base/log.ts";
import { MemoryBudget } from "../../base/memory_budget.ts";
import { type MessageEnd, MessageLink } from "../../base/message_link.ts";
import type { Rate } from "../../base/rate_limiter.ts";
import { RemoteHooks } from "../../hooks/remote_host.ts";
import { LocalStorage } from "../../storage/local.ts";
import { BoundTransport } from "../../transport/bound.ts";
import { TcpTransport } from "../../transport/tcp.ts";
import { type Identity, TlsTransport } from "../../transport/tls.ts";
import type { SessionFact } from "../control.ts";
import { UNBOUNDED } from "../limits.ts";
import { Server } from "../server.ts";
import type { MainCalls, Place, WorkerCalls, WorkerStart } from "./calls.ts";
import { RemoteEntrance } from "./remote_entrance.ts";

/** Serves in this thread what the main thread, at the other end, says. `onIdle`: as of a server. */
export function serveAsWorker(end: MessageEnd, onIdle: () => void = () => {}): void {
  new WorkerLoop(end, onIdle);
}

class WorkerLoop {
  readonly #main: MessageLink<MainCalls, WorkerCalls>;
  readonly #hooks: RemoteHooks;
  readonly #onIdle: () => void;
  #tls: TlsTransport | null = null;
  #bound: BoundTransport | null = null;
  #storage: LocalStorage | null = null;
  #server: Server | null = null;
  #trust: { current: ClientTrust } | undefined;

  constructor(end: MessageEnd, onIdle: () => void) {
    this.#onIdle = onIdle;
    const main = this.#main = new MessageLink<MainCalls, WorkerCalls>(end, {
      listen: (place) => this.#listen(place),
      serve: (start) => this.#serve(start),
      hooks: (generation) => this.#hooks.take(generation),
      identity: (identity: Identity) => this.#tls?.exchange(identity) ?? Promise.resolve(),
      clientTrust: (pem) => this.#trustThose(pem),
      stopPut: (id) => this.#running.stopPut(id),
      metrics: () => ({ all: this.#running.metrics.all(), summary: this.#running.metrics.summary() }),
      sessions: () => this.#running.roster.sessions(),
      kick: ({ id, reason }) => this.#kick(id, reason),
      load: () => this.#running.roster.load(),
      close: (limit) => this.#close(limit),
    });
    this.#hooks = new RemoteHooks({
      call: (call) => main.ask("callHook", call),
      retired: (generation) => main.tell("retired", generation),
    }, new Log("error", (record) => main.tell("pluginLog", record)));
  }

  get #running(): Server {
    if (!this.#server) throw new FshError("INTERNAL", { detail: "this worker does not serve yet" });
    return this.#server;
  }

  async #listen({ hostname, port, identity, tuning }: Place) {
    this.#tls = identity ? new TlsTransport({ identity, tuning }) : null;
    const transport = this.#tls ?? new TcpTransport(tuning);
    this.#bound = await BoundTransport.bind(transport, { hostname, port, reusePort: true });
    const { listener } = this.#bound;
    return { hostname: listener.hostname, port: listener.port };
  }

  async #serve({ settings, folder, storage, memory, chunk, logLevel, clientTrust }: WorkerStart) {
    const main = this.#main;
    if (!this.#bound) throw new FshError("INTERNAL", { detail: "this worker does not listen yet" });
    const trust = clientTrust === null ? undefined : { current: await ClientTrust.parse(clientTrust) };
    this.#trust = trust;
    this.#storage = await LocalStorage.open(folder, storage);
    const { hostname, port } = this.#bound.listener;
    this.#server = await Server.start({
      ...settings,
      // Lines are counted where those of all workers come together.
      bounds: { ...settings.bounds, logLines: UNBOUNDED.logLines },
      transport: this.#bound,
      hostname,
      port,
      storage: this.#storage,
      log: new Log(logLevel, (record) => main.tell("log", record)),
      hooks: this.#hooks.runner,
      clientTrust: trust && (() => trust.current),
      limiter: chunk === null ? undefined : this.#rate(chunk),
      budget: new MemoryBudget({ bytes: memory }),
      admissions: new RemoteEntrance(main),
      stopPut: (id) => main.ask("stopPut", id),
      onIdle: this.#onIdle,
    });
  }

  async #kick(id: string, reason: string): Promise<SessionFact | null> {
    try {
      return await this.#running.roster.kick(id, reason);
    } catch (error) {
      if (isError(error, "NOT_FOUND")) return null;
      throw error;
    }
  }

  #rate(chunk: number): Rate {
    return { chunk, take: (bytes) => this.#main.ask("take", bytes) };
  }

  async #trustThose(pem: string): Promise<void> {
    const current = await ClientTrust.parse(pem);
    if (this.#trust) this.#trust.current = current;
  }

  async #close(limit: number): Promise<void> {
    await this.#server?.close({ limit });
    await this.#hooks.runner.stop();
    this.#storage?.close();
    this.#bound?.[Symbol.dispose]();
  }
}
