import { frameBuffers } from "../base/buffer_pool.ts";
import { concatBytes } from "../base/bytes.ts";
import { createDigest } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { Sum } from "../commands/sum.ts";
import type { PutOptions, PutSource } from "../commands/put.ts";
import { MAX_REGION } from "../storage/storage.ts";
import { CLASSIC, classicSize } from "../wire/classic.ts";
import type { ClassicLink } from "./classic_link.ts";

export interface ClassicUpload extends PutOptions {
  /** For errors. */
  readonly path: string;
  /** As it goes on the wire. */
  readonly name: Uint8Array;
  readonly zeroCopy: boolean;
}

/**
 * Sends a PUT and its bytes, which nobody answers. A source whose size is not known goes as long as it ends within a
 * megabyte, as the size comes first.
 *
 * @throws {FshError} NOT_IN_CLASSIC, SOURCE_CHANGED: then the connection has to be cut off, so that nothing is stored
 */
export async function sendClassic(link: ClassicLink, source: PutSource, options: ClassicUpload): Promise<Sum> {
  const { path, name, limiter, progress } = options;
  const buffer = frameBuffers.take();
  try {
    const first = options.size === null ? await readAll(source, buffer, path) : NOTHING;
    const size = options.size ?? first.length;
    await link.write(concatBytes([Uint8Array.of(CLASSIC.put), name, classicSize(size)]));
    if (first.length > 0) await link.write(first);
    progress?.(first.length);
    const most = Math.min(MAX_REGION, limiter?.chunk ?? Infinity);
    for (let left = size - first.length; left > 0;) {
      const sent = await sendSome(link, source, { ...options, buffer: buffer.subarray(0, Math.min(left, most)) });
      left -= sent;
      progress?.(sent);
      const early = limiter?.take(sent);
      if (early) await early;
    }
    return { size, algorithm: "none", digest: createDigest("none").finish() };
  } finally {
    frameBuffers.give(buffer);
  }
}

/** Sends as much as the buffer has room for at the most, by the system itself where that can. */
async function sendSome(
  link: ClassicLink,
  source: PutSource,
  { path, zeroCopy, buffer }: Pick<ClassicUpload, "path" | "zeroCopy"> & { readonly buffer: Uint8Array },
): Promise<number> {
  // Nobody compares anything, so that nothing need be known of the bytes.
  const region = zeroCopy && link.sendsRegions ? source.region?.(buffer.length, { unchecked: true }) : null;
  if (region) {
    await link.writeRegion(region);
    return region.length;
  }
  const read = await source.read(buffer);
  if (read === null) throw new FshError("SOURCE_CHANGED", { subject: path, detail: "it became shorter" });
  await link.write(buffer.subarray(0, read));
  return read;
}

async function readAll(source: PutSource, buffer: Uint8Array, path: string): Promise<Uint8Array> {
  for (let filled = 0;;) {
    const read = await source.read(buffer.subarray(filled));
    if (read === null) return buffer.subarray(0, filled);
    filled += read;
    if (filled < buffer.length) continue;
    const detail = "the size comes first, and this source does not tell its own; put it into a file first";
    throw new FshError("NOT_IN_CLASSIC", { subject: path, detail });
  }
}

const NOTHING = new Uint8Array(0);
