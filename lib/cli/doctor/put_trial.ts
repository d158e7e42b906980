import { randomBytes } from "node:crypto";
import { randomHex } from "../../base/bytes.ts";
import { FshError, isError, toFshError } from "../../base/errors.ts";
import type { Client } from "../../client/client.ts";
import type { PutSource } from "../../commands/put.ts";
import { queuedTime } from "./own_load.ts";

export interface PutTrial {
  /** A name of `trialName`. */
  readonly path: string;
  /** Milliseconds and bytes at the most. */
  readonly time: number;
  readonly bytes: number;
  readonly signal: AbortSignal;
  /** Called once, when the server takes the first bytes. */
  readonly begun?: () => void;
}

/** A name that nobody has, in a folder of the server. */
export function trialName(folder: string): string {
  return `${folder.replace(/\/$/, "")}/.fsh-doctor-${randomHex(8)}`;
}

/**
 * Puts a file that never ends, until time or bytes are used up, and then gives it up: so the server has nothing to keep.
 *
 * @throws {FshError} what the put fails with; INTERRUPTED
 */
export async function tryPut(client: Client, trial: PutTrial): Promise<void> {
  const { path, time, bytes, signal } = trial;
  const enough = new AbortController();
  const interrupted = () => enough.abort(new FshError("INTERRUPTED"));
  signal.addEventListener("abort", interrupted, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let moved = 0;
  const moving = (some: number) => {
    if (moved === 0) {
      trial.begun?.();
      timer = setTimeout(() => enough.abort(new FshError("CANCELLED")), time);
    }
    moved += some;
    if (moved >= bytes) enough.abort(new FshError("CANCELLED"));
  };
  const late = setTimeout(() => enough.abort(new FshError("STALLED", { subject: path })), 10_000 + time);
  try {
    if (signal.aborted) interrupted();
    await client.put(path, endless(Infinity), {
      size: null,
      compress: "never",
      signal: enough.signal,
      progress: moving,
    });
  } catch (error) {
    if (enough.signal.aborted && toFshError(enough.signal.reason).error === "CANCELLED") return;
    // What went through until then counts.
    if (moved > 0 && isError(error, "NO_SPACE", "PUT_TOO_LARGE", "DISK_RESERVED")) return;
    throw error;
  } finally {
    clearTimeout(timer);
    clearTimeout(late);
    signal.removeEventListener("abort", interrupted);
  }
}

/** Sizes of the files that are put whole, in bytes: the second one only where the first says that it is soon done. */
const FLUSHED = [4 * 1024 * 1024, 32 * 1024 * 1024] as const;
/** Milliseconds; what took longer is no matter of the disk's first move. */
const LONG = 100;

/**
 * How fast the server has files on its disk, in bytes per second: puts one whole, of what goes in a quarter of a second at
 * `rate` at the most, and removes it. Null where the server does not wait for its disk.
 *
 * @throws {FshError} what the put or the removal fails with
 */
export async function tryFlush(
  client: Client,
  options: { path: string; rate: number; ping: number },
): Promise<number | null> {
  const { path, rate, ping } = options;
  let found: number | null = null;
  for (const most of FLUSHED) {
    const bytes = Math.round(Math.min(most, Math.max(256 * 1024, rate / 4)));
    const ms = await putWhole(client, path, bytes) - ping;
    // No disk is as quick as that.
    found = ms < 2 ? null : 1000 * bytes / ms;
    if (ms > LONG || bytes < most) break;
  }
  return found;
}

/**
 * Answers the milliseconds from when the server's system had all of a file to its word that it is in place, those left
 * out in which this program waited for a CPU. The file is gone after that.
 */
async function putWhole(client: Client, path: string, bytes: number): Promise<number> {
  let left = bytes;
  const arrival = Promise.withResolvers<{ at: number; queued: number }>();
  const progress = (some: number) => {
    left -= some;
    if (left <= 0) {
      void whenAcknowledged(client).then(() => arrival.resolve({ at: performance.now(), queued: queuedTime() }));
    }
  };
  let ms: number;
  try {
    await client.put(path, endless(bytes), { size: bytes, noReplace: true, compress: "never", progress });
    const [ended, queued] = [performance.now(), queuedTime()];
    const arrived = await arrival.promise;
    ms = Math.max(0, ended - arrived.at - (queued - arrived.queued));
  } catch (error) {
    // It may be in place all the same.
    await client.remove(path).catch(() => {});
    throw error;
  }
  try {
    await client.remove(path);
  } catch (error) {
    throw toFshError(error).about(path);
  }
  return ms;
}

/** Waits until nothing is under way any more: megabytes may stand in the socket's buffer. At once where nobody can tell. */
async function whenAcknowledged({ session }: Client): Promise<void> {
  for (let info; (info = session.inspect()?.info) && info.notSent + info.unacked > 0;) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Whether a file could be removed there: asked about one that is not there, so that nothing happens. */
export async function mayRemove(client: Client, path: string): Promise<boolean> {
  try {
    await client.remove(path);
    return true;
  } catch (error) {
    if (isError(error, "NOT_FOUND")) return true;
    if (toFshError(error).exit === 4) return false;
    throw error;
  }
}

/** Bytes that don't shrink. */
function endless(bytes: number): PutSource {
  const noise = randomBytes(1024 * 1024);
  let left = bytes;
  return {
    read(buffer) {
      if (left === 0) return Promise.resolve(null);
      const some = noise.subarray(0, Math.min(buffer.length, left));
      buffer.set(some);
      left -= some.length;
      return Promise.resolve(some.length);
    },
  };
}
