import type { Digest } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { Rate } from "../base/rate_limiter.ts";
import type { CommandStream, Sink } from "../session/command.ts";
import { compareSums, type Progress, type Sum } from "./sum.ts";

export interface ReceiveOptions {
  readonly digest: Digest;
  readonly begun?: number;
  /** Bytes that may come at the most, `begun` included; null: as many as do. */
  readonly limit?: number | null;
  readonly limiter?: Rate | undefined;
  /** Copies of a chunk while the sink is busy with it; 1 by default. */
  readonly copies?: number;
  readonly progress?: Progress | undefined;
  /** What it is about, for errors. */
  readonly subject: string;
}

/**
 * Takes a body: DATA frames to the sink, then END. Checks END's size and digest against what came.
 *
 * @throws {FshError} TOO_LARGE beyond `limit` bytes, UNEXPECTED_FRAME, SIZE_MISMATCH, DIGEST_MISMATCH
 */
export async function receiveBody(
  stream: CommandStream,
  sink: Sink,
  options: ReceiveOptions,
): Promise<Sum> {
  const { digest, limit = null, limiter, copies = 1, progress, subject } = options;
  let size = options.begun ?? 0;
  const end = await stream.drain((chunk, crc) => {
    size += chunk.length;
    if (limit !== null && size > limit) {
      throw new FshError("SIZE_MISMATCH", { subject, detail: `more than the announced ${limit} bytes` });
    }
    digest.update(chunk, crc);
    progress?.(chunk.length);
    const busy = sink(chunk, crc);
    const early = limiter?.take(chunk.length);
    return busy && early ? busy.then(() => early) : busy ?? early;
  }, { copies });
  if (end.name !== "END") throw new FshError("UNEXPECTED_FRAME", { subject: end.name });
  const sum: Sum = { size, algorithm: digest.algorithm, digest: digest.finish() };
  compareSums(sum, end.fields, subject);
  return sum;
}
