import { FshError } from "../base/errors.ts";
import { withDeadline } from "../base/clock.ts";
import { DEFAULT_TIMEOUTS } from "../client/client.ts";
import { DEFAULT_PORT } from "../client/url.ts";
import { PluginManager } from "../hooks/plugin_manager.ts";
import { native } from "../native/load.ts";
import { Server } from "../server/server.ts";
import { LocalStorage } from "../storage/local.ts";
import { TcpTransport } from "../transport/tcp.ts";
import { MEMORY_OPTION, memoryLimit, memoryText } from "./memory_limit.ts";
import type { Args, Environment, Subcommand } from "./args.ts";
import { displayName, makeLog, print } from "./output.ts";
import { PLUGIN_OPTIONS, pluginSettings, shippedNames } from "./plugin_settings.ts";
import { rateLimit } from "./transfer_options.ts";
import { durationOf, durationOption, SESSION_OPTIONS, sessionLimits } from "./session_options.ts";
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
  fsh serve --plugin rules.ts     with rules of your own: see fsh help plugin

Plugins are asked in the order in which they are named. Those that fsh brings: ${shippedNames()}.
A changed plugin file is loaded anew by itself, or on SIGHUP; a version that fails leaves the old one in force.`,
  options: [
    { name: "host", value: "ADDRESS", default: "127.0.0.1", help: "address to listen on; 0.0.0.0 or :: for all" },
    { name: "port", value: "N", default: String(DEFAULT_PORT), help: "port to listen on; 0 takes any free one" },
    { name: "read-only", help: "refuse whatever would change something" },
    {
      name: "durability",
      value: "HOW",
      default: "file",
      help: "file: on disk before it is acknowledged; none: left to the system",
    },
    { name: "limit-rate", value: "RATE", help: "bytes per second for all transfers together, as in 500K or 10M" },
    ...PLUGIN_OPTIONS,
    { name: "json", help: "every line of output is one JSON object" },
    ...SESSION_OPTIONS,
    durationOption(
      "idle-timeout",
      DEFAULT_TIMEOUTS.idle,
      "for an unused session from which nothing at all is heard; off",
    ),
    durationOption("drain-timeout", 30_000, "for running transfers to finish at the end; off"),
    MEMORY_OPTION,
    { name: "max-sessions", value: "N", default: "10000", help: "sessions at once" },
  ],
  operands: { min: 0, max: 1 },

  async run(args, environment) {
    const folder = args.operands[0] ?? ".";
    const json = args.has("json");
    const log = makeLog({ json, fallback: "info" });
    const drain = durationOf(args, "drain-timeout");
    native().heap?.returnLargeBlocks();
    const memory = await memoryLimit(args);
    const settings = serverSettings(args);
    const storage = await LocalStorage.open(folder, {
      durability: parseChoice("durability", args.value("durability"), ["file", "none"]),
    });
    const plugins = await PluginManager.start(pluginSettings(args, { log, json }));
    const reload = () => void plugins.reload({ all: true });
    try {
      const server = await Server.start({
        transport: new TcpTransport(),
        storage,
        log,
        hooks: plugins.runner,
        onIdle: () => native().heap?.trim(),
        budget: memory.budget,
        ...settings,
      });
      onHangup(reload, "add");
      const root = displayName(await Deno.realPath(folder));
      if (json) {
        const readOnly = args.has("read-only");
        print(JSON.stringify({ event: "listening", url: server.url, folder: root, readOnly, maxMemory: memory.bound }));
      } else print(`fsh: serving ${root} on ${server.url}`);

      log.info("memory", { bound: memoryText(memory, settings.maxSessions) });

      const sweeping = args.has("read-only") ? undefined : sweepNowAndThen(storage, environment.signal);
      await aborted(environment.signal);
      log.info("going down", { sessions: server.sessionCount, limit: drain / 1000 });
      // What could not be told in time is cut off.
      const limit = drain === 0 ? 0 : drain + 5000;
      await withDeadline(server.close({ limit: drain }), limit, () => new FshError("GOING_AWAY")).catch(() => {});
      await sweeping;
    } finally {
      onHangup(reload, "remove");
      await plugins.stop();
      storage.close();
    }
    log.info("down");
    return 0;
  },
};

/** SIGHUP loads plugins anew, where there is such a signal. */
function onHangup(reload: () => void, change: "add" | "remove"): void {
  if (Deno.build.os === "windows") return;
  if (change === "add") Deno.addSignalListener("SIGHUP", reload);
  else Deno.removeSignalListener("SIGHUP", reload);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function serverSettings(args: Args) {
  return {
    hostname: args.value("host").replace(/^\[|\]$/g, ""),
    port: parseWhole("port", args.value("port"), { min: 0, max: 65535 }),
    limits: sessionLimits(args),
    readOnly: args.has("read-only"),
    zeroCopy: !args.has("no-zero-copy"),
    limiter: rateLimit(args),
    maxSessions: parseWhole("max-sessions", args.value("max-sessions"), { min: 1, max: 1_000_000 }),
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
