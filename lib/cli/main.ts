import { printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { keepOnly, rightsNow } from "../base/rights.ts";
import { quicEndsSent } from "../transport/quic_connection.ts";
import { parseSubcommand, type Subcommand } from "./args.ts";
import { drainCommand } from "./drain.ts";
import { discoverCommand } from "./discover.ts";
import { dissectorCommand } from "./dissector.ts";
import { doctorCommand } from "./doctor.ts";
import { explainCommand } from "./explain.ts";
import { forgetCommand } from "./forget.ts";
import { getCommand } from "./get.ts";
import { hashCommand } from "./hash.ts";
import { helpCommand } from "./help.ts";
import { keygenCommand } from "./keygen.ts";
import { kickCommand } from "./kick.ts";
import { lsCommand } from "./ls.ts";
import { mkdirCommand } from "./mkdir.ts";
import { mvCommand } from "./mv.ts";
import { complain, note } from "./output.ts";
import { passwdCommand } from "./passwd.ts";
import { pingCommand } from "./ping.ts";
import { pluginCommand } from "./plugin.ts";
import { putCommand } from "./put.ts";
import { reloadCommand } from "./reload.ts";
import { rightsOf } from "./rights.ts";
import { rmCommand } from "./rm.ts";
import { serveCommand } from "./serve.ts";
import { sessionsCommand } from "./sessions.ts";
import { socketsCommand } from "./sockets.ts";
import { statCommand } from "./stat.ts";
import { tokenCommand } from "./token.ts";
import { traceCommand } from "./trace.ts";
import { endTrace } from "./trace_options.ts";
import { verifyCommand } from "./verify.ts";
import { versionCommand } from "./version.ts";

/** Every subcommand, in the order of `fsh help`. */
export const SUBCOMMANDS: readonly Subcommand[] = [
  serveCommand,
  lsCommand,
  getCommand,
  putCommand,
  statCommand,
  hashCommand,
  verifyCommand,
  mkdirCommand,
  rmCommand,
  mvCommand,
  pingCommand,
  discoverCommand,
  doctorCommand,
  pluginCommand,
  explainCommand,
  passwdCommand,
  tokenCommand,
  keygenCommand,
  forgetCommand,
  sessionsCommand,
  socketsCommand,
  kickCommand,
  reloadCommand,
  drainCommand,
  traceCommand,
  dissectorCommand,
  helpCommand(() => SUBCOMMANDS),
  versionCommand,
];

const OTHER_NAMES: Readonly<Record<string, string>> = { "--help": "help", "-h": "help", "--version": "version" };

/** Runs one command line and answers the exit status. Never throws. */
export async function main(argv: readonly string[]): Promise<number> {
  const release = interruptible();
  try {
    return await run(argv, release.signal);
  } catch (thrown) {
    const error = thrown instanceof FshError ? thrown : new FshError("INTERNAL", { detail: String(thrown) });
    complain(error);
    if (Deno.env.get("FSH_LOG") === "debug" || Deno.env.get("FSH_LOG") === "trace") showStack(error);
    return error.exit;
  } finally {
    await quicEndsSent();
    release.stop();
  }
}

/** Its first line is the message, which may be the other side's. */
function showStack(error: FshError): void {
  for (const line of String(error.stack).split("\n")) note(printable(line));
}

async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    await run(["help"], signal);
    return 2;
  }
  const name = OTHER_NAMES[first] ?? first;
  const command = SUBCOMMANDS.find((one) => one.name === name);
  if (!command) throw new FshError("USAGE", { subject: first, detail: "no such command; see: fsh help" });
  const end = rest.indexOf("--");
  if (rest.slice(0, end === -1 ? undefined : end).some((word) => word === "--help" || word === "-h")) {
    return await run(["help", name], signal);
  }
  keepOnly(rightsOf(name));
  if (Deno.env.get("FSH_LOG") === "trace") note(`fsh ${name} keeps the permissions ${rightsNow().join(", ")}`);
  const args = parseSubcommand(command, rest);
  try {
    return await command.run(args, { signal });
  } finally {
    await endTrace(args);
  }
}

/** Ctrl-C and SIGTERM abort the signal; the second one ends the program at once. */
function interruptible(): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const onSignal = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort(new FshError("INTERRUPTED"));
  };
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  return {
    signal: controller.signal,
    stop: () => signals.forEach((name) => Deno.removeSignalListener(name, onSignal)),
  };
}
