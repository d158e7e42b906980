import { FshError, toFshError } from "../../base/errors.ts";
import type { Client } from "../../client/client.ts";
import type { Sink } from "../../session/command.ts";

export interface GetTrial {
  readonly path: string;
  /** Where the bytes go. */
  readonly sink: Sink;
  /** Milliseconds and bytes at the most. */
  readonly time: number;
  readonly bytes: number;
  readonly signal: AbortSignal;
  /** Called once, when the first byte comes. */
  readonly begun?: () => void;
}

/**
 * Gets a file, over and over where it is small, until time or bytes are used up; answers how many came. What is under way
 * then is given up.
 *
 * @throws {FshError} what the get fails with; INTERRUPTED
 */
export async function tryGet(client: Client, trial: GetTrial): Promise<number> {
  const { path, sink, time, bytes, signal } = trial;
  const enough = new AbortController();
  let moved = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const interrupted = () => enough.abort(new FshError("INTERRUPTED"));
  signal.addEventListener("abort", interrupted, { once: true });
  const take: Sink = (chunk, crc) => {
    if (moved === 0) {
      trial.begun?.();
      timer = setTimeout(() => enough.abort(new FshError("CANCELLED")), time);
    }
    moved += chunk.length;
    if (moved >= bytes) enough.abort(new FshError("CANCELLED"));
    return sink(chunk, crc);
  };
  // Not a byte within that time: the server's disk is asleep, or worse.
  const late = setTimeout(() => enough.abort(new FshError("STALLED", { subject: path })), 10_000 + time);
  try {
    if (signal.aborted) interrupted();
    while (!enough.signal.aborted) {
      const before = moved;
      await client.get(path, { compress: "never", signal: enough.signal, open: () => take });
      // An empty one would go on for ever.
      if (moved === before) break;
    }
    return moved;
  } catch (error) {
    if (enough.signal.aborted && toFshError(enough.signal.reason).error === "CANCELLED") return moved;
    throw error;
  } finally {
    clearTimeout(timer);
    clearTimeout(late);
    signal.removeEventListener("abort", interrupted);
  }
}
