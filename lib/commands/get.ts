import type { DigestAlgorithm } from "../base/digest.ts";
import { FshError, toFshError } from "../base/errors.ts";
import { command, type RequestOpener, type Sink } from "../session/command.ts";
import { expect, type Progress, receiveBody, sendBody, type Sum } from "./body.ts";
import type { Info } from "./stat.ts";

export const getCommand = command({
  request: "GET",
  writes: false,
  async serve(stream, { path, offset, length, algorithm }, { storage, guard }) {
    const reader = await storage.openRead(await guard.read(path), { offset, length });
    try {
      const { type, size, modified, mode } = reader.info;
      await stream.send("INFO", { type, size, modified, mode });
      const due = Math.min(length ?? Infinity, size - offset);
      const sum = await sendBody(stream, reader, { algorithm, size: due });
      if (sum.size !== due) {
        throw new FshError("SOURCE_CHANGED", { subject: path, detail: "it became shorter" });
      }
      await stream.send("END", sum, { fin: true });
    } finally {
      reader.close();
    }
  },
});

export interface GetOptions {
  readonly offset?: number;
  /** Bytes at the most; null: to the end. */
  readonly length?: number | null;
  readonly algorithm?: DigestAlgorithm;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Says where the bytes go, once it is known what comes. */
  readonly open: (info: Info) => Promise<Sink> | Sink;
}

/** Gets a file or a part of it; resolves once every byte is in the sink and the digest agrees. */
export async function get(session: RequestOpener, path: string, options: GetOptions): Promise<Sum & { info: Info }> {
  const { offset = 0, length = null, algorithm = "crc32", signal } = options;
  const stream = session.open("GET", { path, offset, length, algorithm });
  const interrupt = () => stream.cancel(toFshError(signal?.reason));
  signal?.addEventListener("abort", interrupt);
  try {
    if (signal?.aborted) interrupt();
    const { fields: info } = await expect(stream, "INFO");
    const sink = await options.open(info);
    const limit = Math.min(length ?? Infinity, info.size - offset);
    return {
      ...await receiveBody(stream, sink, { algorithm, limit, progress: options.progress, subject: path }),
      info,
    };
  } catch (error) {
    stream.cancel(toFshError(error));
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}
