import { FshError } from "../base/errors.ts";
import { native } from "../native/load.ts";
import type { GrantedOptions, KeepAlive, SocketTuning } from "../native/socket_tuning.ts";
import type { Listener } from "../transport/transport.ts";
import { DEFAULT_KEEPALIVE, DEFAULT_TUNING } from "../transport/tuning.ts";
import type { Args, OptionRow } from "./args.ts";
import { note } from "./output.ts";
import { formatBytes, parseChoice, parseDuration, parseSize, parseWhole } from "./values.ts";

/** Options of the sockets themselves, on either side. */
export const SOCKET_OPTIONS: readonly OptionRow[] = [
  {
    name: "keepalive",
    value: "HOW",
    default: keepAliveText(DEFAULT_KEEPALIVE),
    help: "seconds of silence, seconds between probes, probes before TCP gives up; or system, or off",
  },
  { name: "send-buffer", value: "SIZE", help: "of the socket; without it the system sizes it as a transfer needs it" },
  { name: "recv-buffer", value: "SIZE", help: "of the socket, which bounds the window that TCP offers; as above" },
  {
    name: "nodelay",
    value: "HOW",
    default: DEFAULT_TUNING.noDelay,
    help: "on: frames leave at once; off: small ones wait (Nagle); cork: those of one turn leave together",
  },
  {
    name: "linger",
    value: "TIME",
    default: "off",
    help: "for which closing waits for the other side to take the rest; 0: reset, dropping it; off",
  },
  {
    name: "user-timeout",
    value: "TIME",
    default: "off",
    help: "for the other side to acknowledge data before TCP gives up; off: about 15 minutes",
  },
];

/** Of a socket that listens. */
export const BACKLOG_OPTION: OptionRow = {
  name: "backlog",
  value: "N",
  default: String(DEFAULT_TUNING.backlog),
  help: "connections that may wait to be accepted; the system has a limit of its own (net.core.somaxconn)",
};

/** What a parsed part of --keepalive may be at most: the limits of Linux (MAX_TCP_KEEPIDLE and so on, net/tcp.h). */
const KEEPALIVE_MOST = { idle: 32767, interval: 32767, count: 127 } as const;
/** The least that a buffer may be; Linux makes more of less than that anyway. */
const LEAST_BUFFER = 1024;
const MOST_BUFFER = 2 ** 30 - 1;

/** What was decided for a command: its further connections, and those after a loss, are not told again. */
const decided = new WeakMap<Args, SocketTuning>();

/**
 * The tuning that the options ask for; what of it this system does not give is said, a sentence each, on standard error
 * unless `say` does it.
 *
 * @throws {FshError} USAGE, naming option and value
 */
export function socketTuning(args: Args, say = (sentence: string) => note(`fsh: ${sentence}`)): SocketTuning {
  const known = decided.get(args);
  if (known) return known;
  const tuning: SocketTuning = {
    keepAlive: parseKeepAlive(args.value("keepalive")),
    sendBuffer: buffer(args, "send-buffer"),
    receiveBuffer: buffer(args, "recv-buffer"),
    noDelay: parseChoice("nodelay", args.value("nodelay"), ["on", "off", "cork"]),
    backlog: backlog(args),
    linger: linger(args.value("linger")),
    userTimeout: parseDuration("user-timeout", args.value("user-timeout")) || null,
  };
  decided.set(args, tuning);
  for (const sentence of shortcomings(args, tuning)) say(sentence);
  return tuning;
}

/** Says where the system lets fewer connections wait than were asked for. */
export function checkBacklog(args: Args, listener: Pick<Listener, "inspect">, say: (sentence: string) => void): void {
  const { name } = BACKLOG_OPTION;
  const granted = listener.inspect?.()?.backlog ?? null;
  if (granted === null || !args.has(name) || granted >= backlog(args)) return;
  say(`--${name} ${args.value(name)}: the system grants ${granted}; its limit is net.core.somaxconn`);
}

/** Says which options of a command do nothing, as it speaks QUIC. */
export function noteTcpOnly(args: Args): void {
  for (const { name } of SOCKET_OPTIONS) {
    if (args.has(name)) note(`fsh: --${name} is an option of TCP, and does nothing over QUIC`);
  }
}

function keepAliveText({ idle, interval, count }: KeepAlive): string {
  return `idle=${idle},interval=${interval},count=${count}`;
}

/** `idle=60,interval=10,count=3`, each part once and in any order, those left out as by default; `system`; `off`. */
function parseKeepAlive(text: string): SocketTuning["keepAlive"] {
  if (text === "system" || text === "off") return text;
  const wrong = new FshError("USAGE", {
    subject: `--keepalive ${text}`,
    detail: "it takes idle=SECONDS,interval=SECONDS,count=PROBES, as in " + keepAliveText(DEFAULT_KEEPALIVE) +
      ", with 32767 seconds and 127 probes at the most; system, for the kernel's own; or off",
  });
  const parts: { -readonly [part in keyof KeepAlive]?: number } = {};
  for (const part of text.split(",")) {
    const [, name = "", digits = ""] = /^(idle|interval|count)=([0-9]{1,5})s?$/.exec(part) ?? [];
    const value = Number(digits);
    if (name !== "idle" && name !== "interval" && name !== "count") throw wrong;
    if (parts[name] !== undefined || value < 1 || value > KEEPALIVE_MOST[name]) throw wrong;
    parts[name] = value;
  }
  return { ...DEFAULT_KEEPALIVE, ...parts };
}

function buffer(args: Args, option: "send-buffer" | "recv-buffer"): number | null {
  if (!args.has(option)) return null;
  const text = args.value(option);
  const bytes = parseSize(option, text);
  if (bytes >= LEAST_BUFFER && bytes <= MOST_BUFFER) return bytes;
  throw new FshError("USAGE", { subject: `--${option} ${text}`, detail: "it takes a size from 1K to less than 1G" });
}

function backlog(args: Args): number {
  const { name } = BACKLOG_OPTION;
  return args.has(name) ? parseWhole(name, args.value(name), { min: 1, max: 2 ** 31 - 1 }) : DEFAULT_TUNING.backlog;
}

/** Seconds; the kernel counts in whole ones. */
function linger(text: string): number | null {
  if (text === "off") return null;
  const ms = parseDuration("linger", text);
  if (ms % 1000 === 0 && ms <= 3_600_000) return ms / 1000;
  throw new FshError("USAGE", {
    subject: `--linger ${text}`,
    detail: "it takes whole seconds, an hour at the most; 0, or off",
  });
}

/** What the user has asked for and this system does not give, a sentence for each. */
function shortcomings(args: Args, tuning: SocketTuning): string[] {
  const given = (name: string) => args.has(name);
  const { sockets } = native();
  const tlsServer = given("tls") || given("cert") || given("quic");
  if (sockets === null) return [...withoutNative(tuning, { given, tlsServer })];
  const asksForBuffers = tuning.sendBuffer !== null || tuning.receiveBuffer !== null;
  const granted = asksForBuffers ? sockets.trial(tuning) : null;
  return granted ? [...lessGranted(args, tuning, granted)] : [];
}

/** Where options can't be set: the runtime itself has two switches, and none on the server's side of TLS. */
function* withoutNative(
  { keepAlive, noDelay }: SocketTuning,
  { given, tlsServer }: { given: (name: string) => boolean; tlsServer: boolean },
): Generator<string> {
  const missing = ["send-buffer", "recv-buffer", "backlog", "linger", "user-timeout"];
  if (tlsServer) missing.push("keepalive", "nodelay");
  for (const name of missing) if (given(name)) yield `--${name} can't be had here, and is left to the system`;
  if (tlsServer) return;
  if (given("keepalive") && typeof keepAlive === "object") {
    yield "--keepalive is on, but its times can't be set here: they are the system's";
  }
  if (given("nodelay") && noDelay === "cork") yield "--nodelay cork can't be had here: it is on";
}

/** Buffers that the kernel has cut down: it doubles what it grants (socket(7)). */
function* lessGranted(args: Args, tuning: SocketTuning, granted: GrantedOptions): Generator<string> {
  const buffers = [
    ["send-buffer", tuning.sendBuffer, granted.sendBuffer, "net.core.wmem_max"],
    ["recv-buffer", tuning.receiveBuffer, granted.receiveBuffer, "net.core.rmem_max"],
  ] as const;
  for (const [name, asked, doubled, limit] of buffers) {
    if (asked === null || doubled >= 2 * asked) continue;
    yield `--${name} ${args.value(name)}: the system grants ${formatBytes(doubled / 2)}; its limit is ${limit}`;
  }
}
