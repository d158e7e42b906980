import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Bounds } from "../server/limits.ts";
import { WorkerPool } from "../server/workers/worker_pool.ts";
import type { SocketTuning } from "../transport/tuning.ts";
import { listenError } from "../transport/socket_error.ts";
import type { Args, OptionRow } from "./args.ts";
import type { ServerTls } from "./serve_tls.ts";
import { parseWhole } from "./values.ts";

export const WORKERS_OPTION: OptionRow = {
  name: "workers",
  value: "N",
  default: "1",
  help: "event loops, each in a thread of its own, that share the port; as many as there are cores, for busy servers",
};

/** Beyond that threads only take turns, on any machine that we know of. */
const MOST = 64;

/** What takes one event loop: other protocols, and files that all sessions are written to. */
const ALONE = ["classic", "quic", "trace", "pcap"];

/** How many are asked for. @throws {FshError} USAGE, also where there are fewer files to open than workers */
export function workerCount(args: Args, { files }: Pick<Bounds, "files">): number {
  const text = args.value(WORKERS_OPTION.name);
  const count = parseWhole(WORKERS_OPTION.name, text, { min: 1, max: MOST });
  const alone = ALONE.find((name) => args.has(name));
  if (count > 1 && alone !== undefined) {
    throw new FshError("USAGE", {
      subject: `--${WORKERS_OPTION.name} ${text}`,
      detail: `not together with --${alone}`,
    });
  }
  if (files >= count) return count;
  const detail = `there is less than one open file for each (--max-open-files ${files})`;
  throw new FshError("USAGE", { subject: `--${WORKERS_OPTION.name} ${text}`, detail });
}

/**
 * Threads that listen; null: one event loop is asked for, or all that this system can have.
 *
 * @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, CERTIFICATE_UNUSABLE, WORKER_LOST
 */
export async function openWorkers(
  count: number,
  { hostname, port, tls, tuning, log }: {
    readonly hostname: string;
    readonly port: number;
    readonly tls: ServerTls | null;
    readonly tuning: SocketTuning;
    readonly log: Log;
  },
): Promise<WorkerPool | null> {
  if (count === 1) return null;
  const missing = whySinglePort();
  if (missing !== null) {
    log.warn("one event loop serves: connections can't be spread over several here", { workers: 1, missing });
    return null;
  }
  refuseTaken({ hostname, port });
  return await WorkerPool.listen({ count, spawn, log }, { hostname, port, identity: tls?.identity, tuning });
}

/** What several listeners on one port lack on this system; null: nothing. */
export function whySinglePort(system: { readonly os: string; readonly listen: typeof Deno.listen } = {
  os: Deno.build.os,
  listen: Deno.listen,
}): string | null {
  // Elsewhere the last one that listens gets everything, or one of them at random does (socket(7), SO_REUSEPORT).
  if (system.os !== "linux") return "SO_REUSEPORT spreads connections on Linux only";
  try {
    using first = system.listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
    system.listen({ hostname: "127.0.0.1", port: first.addr.port, reusePort: true }).close();
    return null;
  } catch (error) {
    return `SO_REUSEPORT does not work: ${error instanceof Error ? error.message : error}`;
  }
}

/**
 * A port that listeners share is shared with any other program of this user that asks for the same: a second server would
 * get half of the first one's clients. So nobody may be there at the start, which a listener of the common kind finds out.
 */
function refuseTaken(place: { readonly hostname: string; readonly port: number }): void {
  if (place.port === 0) return;
  try {
    Deno.listen(place).close();
  } catch (cause) {
    throw listenError(cause, place);
  }
}

function spawn(): Worker {
  return new Worker(new URL("./serve_worker.ts", import.meta.url), { type: "module", name: "fsh" });
}
