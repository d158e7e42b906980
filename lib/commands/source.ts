import { frameBuffers, release } from "../base/buffer_pool.ts";
import type { Digest } from "../base/digest.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Work } from "../session/command.ts";
import type { FileReader } from "../storage/storage.ts";
import { LEAST_PAYLOAD } from "./send_buffers.ts";

/** Where a body's bytes come from. */
export type Source = Pick<FileReader, "read" | "region" | "learn" | "forget">;

/** Adds what a source gives, `limit` bytes at the most, to a digest; answers how many there were. */
export async function readInto(
  digest: Digest,
  source: Source,
  options: {
    readonly signal: AbortSignal;
    readonly memory?: MemoryAccount;
    readonly work?: Work;
    readonly limit?: number;
  },
): Promise<number> {
  const { signal, memory, work, limit = Infinity } = options;
  using lease = await memory?.take(LEAST_PAYLOAD, frameBuffers.size);
  const large = (lease?.bytes ?? frameBuffers.size) === frameBuffers.size;
  const buffer = large ? frameBuffers.take() : new Uint8Array(LEAST_PAYLOAD);
  let size = 0;
  try {
    while (size < limit) {
      const turn = work?.turn();
      if (turn) await turn;
      if (signal.aborted) throw signal.reason;
      const read = await source.read(buffer.subarray(0, Math.min(buffer.length, limit - size)));
      if (read === null) break;
      digest.update(buffer.subarray(0, read));
      size += read;
    }
    return size;
  } finally {
    if (large) frameBuffers.give(buffer);
    else release(buffer);
  }
}
