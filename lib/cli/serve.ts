import { FshError } from "../base/errors.ts";
import { withDeadline } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { DEFAULT_TIMEOUTS } from "../client/client.ts";
import { DEFAULT_PORT } from "../client/url.ts";
import { PluginManager } from "../hooks/plugin_manager.ts";
import { native } from "../native/load.ts";
import { type LocalOptions, LocalStorage } from "../storage/local.ts";
import { memoryOfQuic } from "../transport/quic_listener.ts";
import { TcpTransport } from "../transport/tcp.ts";
import { ANNOUNCE_OPTION, announceServer } from "./announce_option.ts";
import { MEMORY_OPTION, memoryLimit, memoryText } from "./memory_limit.ts";
import type { Args, Environment, Subcommand } from "./args.ts";
import { JAIL_OPTIONS, jailOptions, warnUnconfined } from "./jail_options.ts";
import { CONTROL_OPTION, ServeControl } from "./serve_control.ts";
import { onHangup, reloadAll } from "./serve_reload.ts";
import { MUTUAL_OPTION, MutualTrust } from "./mutual.ts";
import { LIMIT_OPTIONS, maxSessions, maxStreams, serverBounds } from "./limit_options.ts";
import { METRICS_OPTION, serveMetrics } from "./metrics_option.ts";
import { displayName, makeLog, print } from "./output.ts";
import { PLUGIN_OPTIONS, pluginSettings, shippedNames } from "./plugin_settings.ts";
import { rateLimit } from "./transfer_options.ts";
import { ownFront, poolFront, type ServerSettings, type Serving } from "./serve_front.ts";
import { enterUser, USER_OPTION } from "./serve_user.ts";
import { INSECURE_OPTION, refuseExposure } from "./exposure.ts";
import { announceClassic, bindClassic, CLASSIC_OPTION } from "./serve_classic.ts";
import { ServerTls, TLS_OPTIONS } from "./serve_tls.ts";
import { durationOf, durationOption, SESSION_OPTIONS, sessionLimits } from "./session_options.ts";
import { openWorkers, workerCount, WORKERS_OPTION } from "./serve_workers.ts";
import { BACKLOG_OPTION, checkBacklog, socketTuning } from "./socket_options.ts";
import { traced } from "./trace_options.ts";
import { parseChoice, parseWhole } from "./values.ts";

/** Milliseconds between two searches for part files that nobody will continue. */
const SWEEP_INTERVAL = 24 * 60 * 60 * 1000;

export const serveCommand: Subcommand = {
  name: "serve",
  usage: ["[DIR]"],
  summary: "serve a folder",
  details: `Serves DIR (this folder, if none is named) until Ctrl-C or SIGTERM. One line on standard output says
when it is ready and where; the log goes to standard error, FSH_LOG=debug or trace makes it talk more.
On Ctrl-C or SIGTERM no new sessions are taken, running transfers may finish; a second one ends at once.

  fsh serve                       this folder, for this machine only
  fsh serve /srv/files --read-only
  fsh serve --port 0 --json       any free port; a program reads which
  fsh serve --user nobody         started as root; goes on as nobody once it has its port
  fsh serve --host 0.0.0.0 --tls --plugin auth-users --plugin-option auth-users.file=users.json
                                  for other machines: encrypted, and only for who has an account
  fsh serve --quic                encrypted, over TLS and over QUIC (UDP)
  fsh serve --plugin rules.ts     with rules of your own: see fsh help plugin

Plugins are asked in the order in which they are named. Those that fsh brings: ${shippedNames()}.
A changed plugin file is loaded anew by itself, or on SIGHUP; a version that fails leaves the old one in force.

--tls keeps key and certificate in $XDG_CONFIG_HOME/fsh/server.pem, or ~/.config/fsh/server.pem, and prints the
certificate's fingerprint, by which clients can tell it from others. A changed certificate counts from then on, by itself
or on SIGHUP; sessions stay. On an address that other machines reach both TLS and accounts are due, or --insecure.

--classic serves programs that speak the classic protocol, from the same folder and by the same rules. It has neither
encryption nor accounts: this machine only, or --insecure, and nobody where plugins want accounts.`,
  options: [
    { name: "host", value: "ADDRESS", default: "127.0.0.1", help: "address to listen on; 0.0.0.0 or :: for all" },
    { name: "port", value: "N", default: String(DEFAULT_PORT), help: "port to listen on; 0 takes any free one" },
    USER_OPTION,
    ...TLS_OPTIONS,
    MUTUAL_OPTION,
    INSECURE_OPTION,
    { name: "read-only", help: "refuse whatever would change something" },
    {
      name: "durability",
      value: "HOW",
      default: "file",
      help: "file: on disk before it is acknowledged; none: left to the system",
    },
    { name: "limit-rate", value: "RATE", help: "bytes per second for all transfers together, as in 500K or 10M" },
    ...JAIL_OPTIONS,
    ...PLUGIN_OPTIONS,
    { name: "json", help: "every line of output is one JSON object" },
    ...SESSION_OPTIONS,
    BACKLOG_OPTION,
    durationOption(
      "idle-timeout",
      DEFAULT_TIMEOUTS.idle,
      "for an unused session from which nothing at all is heard; off",
    ),
    durationOption("drain-timeout", 30_000, "for running transfers to finish at the end; off"),
    ...LIMIT_OPTIONS,
    MEMORY_OPTION,
    WORKERS_OPTION,
    METRICS_OPTION,
    CONTROL_OPTION,
    CLASSIC_OPTION,
    ANNOUNCE_OPTION,
  ],
  operands: { min: 0, max: 1 },

  async run(args, environment) {
    const log = makeLog({ json: args.has("json"), fallback: "info" });
    native().heap?.returnLargeBlocks();
    const settings = serverSettings(args);
    const workers = workerCount(args, settings.bounds);
    const memory = await memoryLimit(args, workers);
    {
      await using stack = new AsyncDisposableStack();
      const { front, tls, mutual } = await openFront(args, { settings, workers, log, stack, memory: memory.bound });
      const control = stack.use(await ServeControl.open(args, { port: front.listener.port, log }));
      const classic = stack.use(await bindClassic(args, settings));
      // All that takes root's rights, such as the port and key files, comes before this line, and all else after it.
      await enterUser(args, { log, listener: front.listener, folder: folderOf(args) });
      const storage = stack.adopt(
        await LocalStorage.open(folderOf(args), storageOptions(args)),
        (storage) => storage.close(),
      );
      warnUnconfined(log);
      const plugins = await startPlugins(args, { log, stack });
      refuseExposure({ asked: settings.hostname, bound: front.listener.hostname }, {
        tls: tls !== null,
        accounts: mutual !== undefined || plugins.runner.current.has("authenticate"),
        insecure: args.has("insecure"),
      });
      const server = await front.start({ storage, plugins, mutual, budget: memory.budget, classic: classic?.listener });
      stack.use(await serveMetrics(args, server.metrics, log));
      const presence = stack.use(await announceServer(args, { ...front, fingerprint: () => tls?.fingerprint, log }));
      const reload = () => reloadAll({ plugins: plugins.manager, tls, mutual, log });
      onHangup(() => void reload(), stack);
      const { fingerprint } = tls ?? {};
      const root = displayName(await Deno.realPath(folderOf(args)));
      announce(args, { root, url: server.url, fingerprint, maxMemory: memory.bound, log });
      announceClassic(args, classic, log);
      const quic = args.has("quic") ? memoryOfQuic(memory.bound) : 0;
      log.info("memory", { bound: memoryText(memory, { maxSessions: settings.maxSessions, quic }) });
      control?.serve({
        sessions: server.roster,
        url: server.url,
        folder: root,
        drainLimit: durationOf(args, "drain-timeout"),
        reload,
        goDown: () => !environment.signal.aborted && Deno.kill(Deno.pid, "SIGTERM"),
        log,
      });

      const sweeping = args.has("read-only") ? undefined : sweepNowAndThen(storage, environment.signal);
      await aborted(environment.signal);
      await presence.withdraw();
      await goDown(server, { drain: durationOf(args, "drain-timeout"), log });
      control?.ended();
      await sweeping;
    }
    log.info("down");
    return 0;
  },
};

function folderOf(args: Args): string {
  return args.operands[0] ?? ".";
}

/** The port, and what it takes to be who one is there: keys and certificates. */
async function openFront(
  args: Args,
  { settings, workers, log, stack, memory }: {
    readonly settings: ServerSettings;
    readonly workers: number;
    readonly log: Log;
    readonly stack: AsyncDisposableStack;
    readonly memory: number;
  },
) {
  const warn = (sentence: string) => log.warn(sentence);
  const tuning = socketTuning(args, warn);
  const mutual = await MutualTrust.of(args);
  const tls = await ServerTls.open(args, { log, memory });
  stack.defer(() => tls?.stop());
  if (mutual && !tls) throw new FshError("USAGE", { subject: "--mutual", detail: "certificates need TLS: add --tls" });
  const pool = await openWorkers(workers, { ...settings, tls, tuning, log });
  const front = pool
    ? poolFront(pool, { settings, folder: folderOf(args), storage: storageOptions(args), tls, stack })
    : await ownFront(tls?.transport ?? new TcpTransport(tuning), {
      settings,
      log,
      stack,
      wrap: (transport) => traced(transport, args, { warn, served: folderOf(args) }),
    });
  checkBacklog(args, front.listener, warn);
  return { tls, mutual, front };
}

function storageOptions(args: Args): LocalOptions {
  return {
    durability: parseChoice("durability", args.value("durability"), ["file", "none"]),
    ...jailOptions(args),
  };
}

async function startPlugins(args: Args, { log, stack }: { log: Log; stack: AsyncDisposableStack }) {
  let failures = 0;
  const counting = log.through((sink) => (record) => {
    sink(record);
    if (record.level === "error") failures++;
  });
  const manager = await PluginManager.start(pluginSettings(args, { log: counting, json: args.has("json") }));
  stack.defer(() => manager.stop());
  return { manager, runner: manager.runner, log: counting, failures: () => failures };
}

/** What could not be told in time is cut off. */
async function goDown(server: Serving, { drain, log }: { readonly drain: number; readonly log: Log }): Promise<void> {
  log.info("going down", { sessions: server.sessionCount, limit: drain / 1000 });
  const limit = drain === 0 ? 0 : drain + 5000;
  await withDeadline(server.close({ limit: drain }), limit, () => new FshError("GOING_AWAY")).catch(() => {});
}

/** Says that the server is ready, and where. */
function announce(
  args: Args,
  { root, url, fingerprint, maxMemory, log }: {
    readonly root: string;
    readonly url: string;
    readonly fingerprint: string | undefined;
    readonly maxMemory: number;
    readonly log: Log;
  },
): void {
  const insecure = args.has("insecure");
  const quic = args.has("quic") ? url.replace(/^fshs:/, "fshq:") : undefined;
  if (args.has("json")) {
    const readOnly = args.has("read-only");
    print(JSON.stringify({ event: "listening", url, quic, folder: root, readOnly, fingerprint, insecure, maxMemory }));
  } else {
    print(`fsh: serving ${root} on ${url}${insecure ? " --insecure" : ""}`);
    if (quic !== undefined) print(`fsh: and on ${quic}`);
    if (fingerprint !== undefined) print(`fsh: fingerprint ${fingerprint}`);
  }
  if (insecure) log.warn("--insecure: other machines may be served without TLS or accounts", { url });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function serverSettings(args: Args) {
  return {
    hostname: args.value("host").replace(/^\[|\]$/g, ""),
    port: parseWhole("port", args.value("port"), { min: 0, max: 65535 }),
    limits: { ...sessionLimits(args), maxStreams: maxStreams(args) },
    bounds: serverBounds(args),
    readOnly: args.has("read-only"),
    zeroCopy: !args.has("no-zero-copy"),
    limiter: rateLimit(args),
    maxSessions: maxSessions(args),
    handshakeTimeout: durationOf(args, "handshake-timeout"),
    idleTimeout: durationOf(args, "idle-timeout"),
    stallTimeout: durationOf(args, "stall-timeout"),
  };
}

/** Looks for forgotten part files at the start and once a day, until the server goes down. */
async function sweepNowAndThen(storage: LocalStorage, signal: Environment["signal"]): Promise<void> {
  while (!signal.aborted) {
    await storage.sweep(signal);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SWEEP_INTERVAL);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
      if (signal.aborted) clearTimeout(timer), resolve();
    });
  }
}
