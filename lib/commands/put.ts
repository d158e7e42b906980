import type { DigestAlgorithm } from "../base/digest.ts";
import { FshError, toFshError } from "../base/errors.ts";
import { parentPath } from "../base/virtual_path.ts";
import { command, type RequestOpener } from "../session/command.ts";
import { OPTION_NO_REPLACE, OPTION_PARENTS } from "../wire/frames.ts";
import { compareSums, expect, type Progress, receiveBody, sendBody, type Source, type Sum } from "./body.ts";
import { makeFolders } from "./mkdir.ts";

export const putCommand = command({
  request: "PUT",
  writes: true,
  async serve(stream, fields, { storage, guard }) {
    const { size, modified, mode, algorithm, options } = fields;
    const path = await guard.write(fields.path);
    if (options & OPTION_PARENTS) await makeFolders(storage, parentPath(path));
    const writer = await storage.openWrite(path, { noReplace: (options & OPTION_NO_REPLACE) !== 0 });
    let sum: Sum;
    try {
      sum = await receiveBody(stream, (chunk) => writer.write(chunk), { algorithm, limit: size, subject: path });
      if (size !== null && sum.size !== size) {
        throw new FshError("SIZE_MISMATCH", { subject: path, detail: `${sum.size} of ${size} announced bytes came` });
      }
      await writer.commit({ modified, mode });
    } catch (error) {
      await writer.abort();
      throw error;
    }
    await stream.send("END", sum, { fin: true });
  },
});

export interface PutOptions {
  /** Bytes that will come; null: not known. */
  readonly size: number | null;
  readonly modified?: number | null;
  readonly mode?: number | null;
  readonly algorithm?: DigestAlgorithm;
  /** Refuse rather than replace. */
  readonly noReplace?: boolean;
  /** Make missing folders. */
  readonly parents?: boolean;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Puts a file; resolves once the server has it in place, durable as it is set to be, and the digests agree. */
export async function put(session: RequestOpener, path: string, source: Source, options: PutOptions): Promise<Sum> {
  const { size, modified = null, mode = null, algorithm = "crc32", signal } = options;
  const stream = session.open("PUT", {
    path,
    size,
    modified,
    mode,
    algorithm,
    options: (options.noReplace ? OPTION_NO_REPLACE : 0) | (options.parents ? OPTION_PARENTS : 0),
    key: "",
  });
  const interrupt = () => stream.cancel(toFshError(signal?.reason));
  signal?.addEventListener("abort", interrupt);
  try {
    if (signal?.aborted) interrupt();
    const sum = await sendBody(stream, source, { algorithm, size, progress: options.progress });
    if (size !== null && sum.size !== size) {
      throw new FshError("SOURCE_CHANGED", { detail: `${sum.size} bytes were left of ${size}` });
    }
    await stream.send("END", sum, { fin: true });
    compareSums(sum, (await expect(stream, "END")).fields, path);
    return sum;
  } catch (error) {
    stream.cancel(toFshError(error));
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}
