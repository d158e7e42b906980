import { DIGEST_ALGORITHMS } from "../base/digest.ts";
import { ERRORS, FshError, toFshError } from "../base/errors.ts";
import { RateLimiter } from "../base/rate_limiter.ts";
import { pool } from "../client/pool.ts";
import type { Client, Remote } from "../client/client.ts";
import { LINK_MODES, type TransferOptions, worthAnotherConnection } from "../client/transfer.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import type { Progress } from "./progress.ts";
import type { FshUrl } from "../client/url.ts";
import { Selection } from "../client/selection.ts";
import { PRIORITY_NAMES } from "../session/command.ts";
import { COMPRESS_MODES } from "../wire/compression.ts";
import { spokeClassic, withRemote } from "./classic_connection.ts";
import { withClients } from "./connection.ts";
import { note } from "./output.ts";
import { parseChoice, parseSize, parseWhole } from "./values.ts";

/** Slower, and a window's worth would take longer than the stall timeout. In bytes per second. */
const MIN_RATE = 16 * 1024;

/** Options that `get` and `put` share. */
export const TRANSFER_OPTIONS: readonly OptionRow[] = [
  { name: "resume", help: "go on where an interrupted transfer stopped; pass over files that are complete" },
  { name: "update", short: "u", help: "pass over files whose size and time, or with --checksum digest, agree" },
  { name: "exclude", value: "GLOB", repeat: true, help: "of a tree, leave out what matches; may be repeated" },
  { name: "include", value: "GLOB", repeat: true, help: "of a tree, take only files that match; may be repeated" },
  { name: "dry-run", help: "print what would be moved, and change nothing" },
  { name: "limit-rate", value: "RATE", help: "bytes per second at the most, as in 500K or 10M" },
  {
    name: "compress",
    value: "WHEN",
    default: "auto",
    help: "zstd on the wire: auto (on a slow link, while data shrinks), never or always",
  },
  {
    name: "priority",
    value: "P",
    default: "normal",
    help: "against other transfers of one session: low, normal, high",
  },
  { name: "jobs", short: "j", value: "N", default: "1", help: "connections, among which several files are shared out" },
  { name: "retries", value: "N", default: "5", help: "times a lost connection is tried again without moving a byte" },
  {
    name: "links",
    value: "HOW",
    default: "skip",
    help: "symbolic links of a tree: skip them, copy them as links, or follow them; never out of the tree",
  },
  { name: "no-replace", short: "n", help: "refuse rather than replace a file" },
  { name: "preserve", short: "p", help: "keep permission bits (times are kept anyway)" },
  {
    name: "checksum",
    value: "NAME",
    default: "crc32",
    help: "digest that both sides compare at the end: crc32, sha256 or none",
  },
];

export function transferOptions(args: Args, environment: Environment, progress: Progress): TransferOptions {
  const algorithm = parseChoice("checksum", args.value("checksum"), DIGEST_ALGORITHMS);
  return {
    events: progress,
    signal: environment.signal,
    algorithm,
    noReplace: args.has("no-replace"),
    preserve: args.has("preserve"),
    continue: args.has("resume"),
    update: args.has("update") || args.has("resume"),
    selection: new Selection({ include: args.values("include"), exclude: args.values("exclude") }),
    dryRun: args.has("dry-run"),
    links: parseChoice("links", args.value("links"), LINK_MODES),
    // Named by the user, the digest is what decides whether a file is there already.
    compareBy: args.has("checksum") && args.value("checksum") !== "none" ? algorithm : undefined,
    limiter: rateLimit(args),
    compress: parseChoice("compress", args.value("compress"), COMPRESS_MODES),
    priority: parseChoice("priority", args.value("priority"), PRIORITY_NAMES),
  };
}

/** The limit that --limit-rate sets, if any. */
export function rateLimit(args: Args): RateLimiter | undefined {
  if (!args.has("limit-rate")) return undefined;
  const rate = parseSize("limit-rate", args.value("limit-rate"));
  if (rate < MIN_RATE) {
    throw new FshError("USAGE", { subject: `--limit-rate ${args.value("limit-rate")}`, detail: "at least 16K" });
  }
  return new RateLimiter(rate);
}

/** Milliseconds before the first new attempt, and at the most. */
const BACKOFF = { first: 500, longest: 15_000 };

/**
 * Works with a client; when the connection is lost, tries again and goes on where it was. The first connection must
 * succeed. Attempts count anew once a byte has moved.
 */
export async function withRetries(
  url: FshUrl,
  args: Args,
  environment: Environment,
  job: { progress: Progress; repeatable?: boolean; work: (client: Remote, again: boolean) => Promise<void> },
): Promise<void> {
  const { progress, repeatable = true, work } = job;
  const wanted = parseWhole("retries", args.value("retries"), { min: 0, max: 1_000_000 });
  const retries = repeatable ? wanted : 0;
  const count = parseWhole("jobs", args.value("jobs"), { min: 1, max: 64 });
  let connected = false;
  for (let attempt = 0;;) {
    const before = progress.bytes;
    try {
      const transfer = async (remote: Remote) => {
        const again = connected;
        connected = true;
        await work(remote, again);
      };
      if (url.scheme === "classic") return await withRemote(url, args, environment, transfer);
      const workAll = (clients: readonly [Client, ...Client[]]) => transfer(pool(clients));
      return await withClients(url, args, environment, { count, work: workAll });
    } catch (thrown) {
      const error = toFshError(thrown);
      if (!connected || !worthAnotherConnection(error) || environment.signal.aborted) throw error;
      // What begins anew each time is no nearer its end.
      if (progress.bytes > before && url.scheme !== "classic") attempt = 0;
      if (attempt >= retries) throw error;
      const wait = Math.min(BACKOFF.longest, BACKOFF.first * 2 ** attempt);
      attempt++;
      progress.retrying(error, wait, `${attempt} of ${retries}`);
      await pause(wait, environment.signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(new FshError("INTERRUPTED"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    signal.addEventListener("abort", aborted, { once: true });
  });
}

/** After an interruption or a lost connection: says how to go on. */
export function hintAtResume(thrown: unknown, args: Args, command: string): void {
  const error = toFshError(thrown);
  if (
    args.has("quiet") || spokeClassic(args) ||
    !(error.error === "INTERRUPTED" || error.exit === ERRORS.CONNECTION_LOST.exit)
  ) return;
  note(`fsh: to go on where this stopped: fsh ${command} --resume, and the rest as before`);
}

/** Sums up and answers the exit status: 0, what the only failure says, or 7 for some of several. */
export function finishTransfer(progress: Progress, operands: number, args: Args): number {
  const algorithm = args.value("checksum");
  const check = args.has("dry-run")
    ? "nothing was moved"
    : spokeClassic(args)
    ? "sizes agree, nothing else compared"
    : algorithm === "none" || progress.files === 0
    ? "nothing compared"
    : `${algorithm} agrees`;
  progress.finish(check);
  const { failures } = progress;
  if (!failures) return 0;
  const allFailedAlike = progress.files === 0 && failures.count === operands && failures.alike;
  return allFailedAlike ? failures.first.exit : 7;
}

/** Several operands into one folder: two of one name would overwrite each other. */
export function refuseSameNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (name !== "-" && seen.has(name)) {
      throw new FshError("USAGE", { subject: name, detail: "two of this name would go into one folder" });
    }
    seen.add(name);
  }
}
