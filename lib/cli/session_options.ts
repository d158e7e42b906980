import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from "../client/client.ts";
import type { SessionLimits } from "../session/handshake.ts";
import type { Args, OptionRow } from "./args.ts";
import { SOCKET_OPTIONS } from "./socket_options.ts";
import { TRACE_OPTIONS } from "./trace_options.ts";
import { parseDuration, parseWhole } from "./values.ts";

/** An option that takes a duration. */
export function durationOption(name: string, ms: number, help: string): OptionRow {
  return { name, value: "TIME", default: `${ms / 1000}s`, help };
}

/** Options that a session has on either side. */
export const SESSION_OPTIONS: readonly OptionRow[] = [
  durationOption("heartbeat", DEFAULT_LIMITS.heartbeat, "silence before a PING; both sides agree on the shorter; off"),
  {
    name: "heartbeat-misses",
    value: "N",
    default: String(DEFAULT_LIMITS.misses),
    help: "unanswered PINGs before the other side counts as dead",
  },
  { name: "no-zero-copy", help: "read what is sent, even where the system could send it by itself (sendfile)" },
  durationOption("handshake-timeout", DEFAULT_TIMEOUTS.handshake, "for the other side to say who it is"),
  durationOption("stall-timeout", DEFAULT_TIMEOUTS.stall, "for a transfer in which no byte moves; off"),
  ...SOCKET_OPTIONS,
  ...TRACE_OPTIONS,
];

export function sessionLimits(args: Args): SessionLimits {
  return {
    ...DEFAULT_LIMITS,
    heartbeat: durationOf(args, "heartbeat"),
    misses: parseWhole("heartbeat-misses", args.value("heartbeat-misses"), { min: 1, max: 1000 }),
  };
}

/** The value of a duration option, in milliseconds; 0 for off. */
export function durationOf(args: Args, name: string): number {
  return parseDuration(name, args.value(name));
}
