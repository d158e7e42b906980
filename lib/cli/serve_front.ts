import type { MemoryBudget } from "../base/memory_budget.ts";
import type { Log } from "../base/log.ts";
import type { HookRunner } from "../hooks/runner.ts";
import { native } from "../native/load.ts";
import type { SessionControl } from "../server/control.ts";
import type { MetricsSource } from "../server/metrics_page.ts";
import { Server, type ServerOptions } from "../server/server.ts";
import type { WorkerPool } from "../server/workers/worker_pool.ts";
import type { LocalOptions, LocalStorage } from "../storage/local.ts";
import { BoundTransport } from "../transport/bound.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import type { MutualTrust } from "./mutual.ts";
import type { ServerTls } from "./serve_tls.ts";

/** A server that serves, of one event loop or of several. */
export interface Serving {
  readonly url: string;
  readonly sessionCount: number;
  readonly metrics: MetricsSource;
  readonly roster: SessionControl;
  /** As `Server.close`. */
  close(options: { readonly limit: number }): Promise<void>;
}

/** What a server needs beyond what its options say. */
export interface Backing {
  readonly storage: LocalStorage;
  readonly plugins: { readonly runner: HookRunner; readonly log: Log; readonly failures: () => number };
  readonly mutual: MutualTrust | undefined;
  readonly budget: MemoryBudget;
  /** Where the classic protocol is spoken. */
  readonly classic: Listener | undefined;
}

/** A port that is taken, on which nobody is served yet. */
export interface Front {
  readonly listener: Pick<Listener, "hostname" | "port" | "inspect">;
  readonly scheme: string;
  start(backing: Backing): Promise<Serving>;
}

/** What the options of a server say, in numbers. */
export type ServerSettings =
  & Omit<ServerOptions, "transport" | "storage" | "log" | "bounds">
  & Required<Pick<ServerOptions, "bounds">>;

interface Surroundings {
  readonly settings: ServerSettings;
  readonly stack: AsyncDisposableStack;
}

/** One event loop: this one. @throws {FshError} as `Transport.listen` */
export async function ownFront(
  transport: Transport,
  { settings, log, stack, wrap }: Surroundings & {
    readonly log: Log;
    /** What goes over the transport may be written down. */
    readonly wrap: (transport: BoundTransport) => Promise<Transport>;
  },
): Promise<Front> {
  const bound = stack.use(await BoundTransport.bind(transport, settings));
  return {
    listener: bound.listener,
    scheme: bound.scheme,
    start: async ({ storage, plugins, mutual, budget, classic }) => {
      const server = await Server.start({
        ...settings,
        transport: await wrap(bound),
        classic,
        storage,
        log,
        hooks: plugins.runner,
        pluginFailures: plugins.failures,
        clientTrust: mutual && (() => mutual.current),
        onIdle: () => native().heap?.trim(),
        budget,
      });
      // Where the start fails from here on.
      stack.defer(() => server.close({ limit: 1 }));
      return server;
    },
  };
}

/** Several event loops, which listen already. */
export function poolFront(
  pool: WorkerPool,
  { settings, folder, storage, tls, stack }: Surroundings & {
    readonly folder: string;
    readonly storage: LocalOptions;
    readonly tls: ServerTls | null;
  },
): Front {
  stack.defer(() => pool.end());
  tls?.alsoExchange((identity) => pool.exchange(identity));
  const { limiter, hostname: _, port: __, ...plain } = settings;
  return {
    listener: pool,
    scheme: pool.scheme,
    start: async ({ plugins, mutual, budget }) => {
      // Before plugins and storage go: a worker that serves already must not outlive the rules.
      stack.defer(() => pool.close({ limit: 1 }));
      await pool.serve({
        settings: plain,
        folder,
        storage,
        memory: budget.bytes,
        rate: limiter,
        hooks: plugins.runner,
        pluginLog: plugins.log,
        pluginFailures: plugins.failures,
        clientTrust: mutual?.pem ?? null,
      });
      mutual?.alsoTell((pem) => pool.trust(pem));
      return pool;
    },
  };
}
