import { equalBytes } from "../base/bytes.ts";
import { createDigest, type Digest, type DigestAlgorithm } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { Rate } from "../base/rate_limiter.ts";
import type { SafePath } from "../base/virtual_path.ts";
import {
  command,
  type CommandStream,
  type Priority,
  PRIORITY_NAMES,
  type RequestOpener,
  type Sink,
  type Work,
} from "../session/command.ts";
import type { CompressMode } from "../wire/compression.ts";
import type { Storage } from "../storage/storage.ts";
import { compressMode, compressOption } from "./compress_option.ts";
import { expect, interruptible } from "./exchange.ts";
import { receiveBody } from "./receive_body.ts";
import { sendBody } from "./send_body.ts";
import { readInto } from "./source.ts";
import { digestText, type Progress, type Sum } from "./sum.ts";
import type { Info } from "./stat.ts";

export const getCommand = command({
  request: "GET",
  writes: false,
  async serve(stream, fields, { storage, guard, limiter, report, work }) {
    const { path, offset, length, algorithm, prefix, options, priority } = fields;
    stream.prioritize(PRIORITY_NAMES[priority] ?? "normal");
    const { real: file } = await guard.admit(path);
    let digest = createDigest(algorithm);
    let start = offset;
    if (prefix.length > 0) {
      const known = { offset, prefix, digest, stream, work };
      if (!await work.fewAtOnce(() => hasPrefix(storage, file, known))) {
        digest = createDigest(algorithm);
        start = 0;
      }
    }
    const reader = await storage.openRead(file, { offset: start, length });
    try {
      const { type, size, modified, mode } = reader.info;
      report.bytes = 0;
      // It need not be gone before the body begins: what fails then fails the body as well.
      stream.send("INFO", { type, size, modified, mode, offset: start }).catch(() => {});
      const due = Math.min(length ?? Infinity, size - start);
      const begun = prefix.length > 0 ? start : 0;
      await sendBody(stream, reader, {
        digest,
        size: due,
        begun,
        limiter,
        compress: compressMode(options),
        progress: (bytes) => report.bytes = (report.bytes ?? 0) + bytes,
        end: async (sum) => {
          if (sum.size !== begun + due) {
            throw new FshError("SOURCE_CHANGED", { subject: path, detail: "it became shorter" });
          }
          // Of a part it is nobody's.
          if (sum.size === size) report.digest = digestText(sum);
          await stream.send("END", sum, { fin: true });
        },
      });
    } finally {
      reader.close();
    }
  },
});

/** Whether the file begins with what the client has; `digest` then stands behind it. */
async function hasPrefix(
  storage: Storage,
  path: SafePath,
  options: { offset: number; prefix: Uint8Array; digest: Digest; stream: CommandStream; work: Work },
): Promise<boolean> {
  const { offset, prefix, digest, stream: { signal, memory }, work } = options;
  const { size } = await storage.stat(path);
  if (size < offset) return false;
  const reader = await storage.openRead(path, { length: offset });
  try {
    return await readInto(digest, reader, { signal, memory, work }) === offset && equalBytes(digest.peek(), prefix);
  } finally {
    reader.close();
  }
}

export interface GetOptions {
  readonly offset?: number;
  /** Bytes at the most; null: to the end. */
  readonly length?: number | null;
  readonly algorithm?: DigestAlgorithm;
  /** What this side has already: a digest that stands behind the first `offset` bytes. */
  readonly have?: Digest | undefined;
  readonly limiter?: Rate | undefined;
  readonly priority?: Priority | undefined;
  readonly compress?: CompressMode | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Says where the bytes go, once it is known what comes and from where on. */
  readonly open: (info: Info) => Promise<Sink> | Sink;
}

/** Gets a file or a part of it; resolves once every byte is in the sink and the digest agrees. */
export async function get(session: RequestOpener, path: string, options: GetOptions): Promise<Sum & { info: Info }> {
  const { offset = 0, length = null, have, signal } = options;
  const algorithm = have?.algorithm ?? options.algorithm ?? "crc32";
  const stream = session.open("GET", {
    path,
    offset,
    length,
    algorithm,
    prefix: have?.peek() ?? new Uint8Array(),
    options: compressOption(options.compress),
    priority: PRIORITY_NAMES.indexOf(options.priority ?? "normal"),
  });
  return await interruptible(stream, signal, async () => {
    const { fields: info } = await expect(stream, "INFO");
    if (info.type !== "file" || (info.offset !== 0 && info.offset !== offset)) {
      throw new FshError("UNEXPECTED_FRAME", { subject: path, detail: `a ${info.type}, from ${info.offset} on` });
    }
    const goesOn = have !== undefined && info.offset === offset;
    const digest = goesOn ? have : createDigest(algorithm);
    const begun = goesOn ? offset : 0;
    const sink = await options.open(info);
    const limit = begun + Math.min(length ?? Infinity, info.size - info.offset);
    const { limiter, progress } = options;
    const sum = await receiveBody(stream, sink, { digest, limit, begun, limiter, progress, subject: path });
    if (sum.size !== limit) {
      throw new FshError("SIZE_MISMATCH", { subject: path, detail: `${sum.size} of ${limit} announced bytes came` });
    }
    return { ...sum, info };
  });
}
