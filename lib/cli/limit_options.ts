import { FshError } from "../base/errors.ts";
import { native } from "../native/load.ts";
import { type Bounds, LIMIT_NAMES, type LimitName, type LimitRow, LIMITS, type Startups } from "../server/limits.ts";
import type { Args, OptionRow } from "./args.ts";
import { parseSize, parseWhole } from "./values.ts";

/** Open files where the system does not say how many it allows. */
const UNKNOWN_FILES = 256;
/** More than that would only take turns. */
const MOST_FILES = 8192;
const MOST = 1_000_000_000;

const VALUES: Readonly<Record<LimitRow["kind"], string>> = {
  count: "N",
  size: "SIZE",
  rate: "RATE",
  time: "TIME",
  startups: "START:RATE:FULL",
};

/** The options of `fsh serve` that the table of limits has and no other. */
export const LIMIT_OPTIONS: readonly OptionRow[] = LIMIT_NAMES.map((name): LimitRow => LIMITS[name])
  .filter((row) => !row.shared)
  .map((row) => ({ name: row.option, value: VALUES[row.kind], default: row.default, help: row.help }));

/** Sessions in all. @throws {FshError} USAGE, as all of these */
export function maxSessions(args: Args): number {
  return count(args, "sessions");
}

/** Requests at once in one session. */
export function maxStreams(args: Args): number {
  return count(args, "streams");
}

export function serverBounds(args: Args): Bounds {
  return {
    perAddress: { most: count(args, "perAddress"), local: args.has(LIMITS.perAddress.option) },
    perUser: count(args, "perUser"),
    startups: startups(args),
    files: count(args, "files"),
    request: count(args, "request"),
    listing: count(args, "listing"),
    put: bytes(args, "put") ?? Infinity,
    keepFree: bytes(args, "keepFree") ?? 0,
    minRate: bytes(args, "minRate") ?? 0,
    logLines: { most: count(args, "logLines"), local: args.has(LIMITS.logLines.option) },
  };
}

function count(args: Args, name: LimitName): number {
  const { option, min = 0, always }: LimitRow = LIMITS[name];
  const text = args.value(option);
  if (text === "off" && !always) return Infinity;
  if (text === "auto" && name === "files") return defaultFiles();
  return parseWhole(option, text, { min, max: MOST });
}

function defaultFiles(): number {
  const most = native().process?.mostDescriptors;
  return most ? Math.min(MOST_FILES, Math.max(1, most >> 2)) : UNKNOWN_FILES;
}

function bytes(args: Args, name: LimitName): number | null {
  const { option } = LIMITS[name];
  const text = args.value(option);
  return text === "off" ? null : parseSize(option, text);
}

function startups(args: Args): Startups | null {
  const { option } = LIMITS.startups;
  const text = args.value(option);
  if (text === "off") return null;
  const [start = 0, rate = 0, full = 0] = /^\d{1,9}:\d{1,9}:\d{1,9}$/.test(text) ? text.split(":").map(Number) : [];
  if (start >= 1 && rate >= 1 && rate <= 100 && full >= start) return { start, rate, full };
  const detail =
    "it takes START:RATE:FULL, as in 100:30:1000, with RATE from 1 to 100 and FULL no less than START, or off";
  throw new FshError("USAGE", { subject: `--${option} ${text}`, detail });
}
