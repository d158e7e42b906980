import { frameBuffers } from "../base/buffer_pool.ts";
import { concatBytes } from "../base/bytes.ts";
import { createDigest } from "../base/digest.ts";
import { FshError, isError } from "../base/errors.ts";
import { oddName } from "../base/virtual_path.ts";
import type { Sum } from "../commands/sum.ts";
import type { GetOptions } from "../commands/get.ts";
import type { Info } from "../commands/stat.ts";
import { CLASSIC, NAME_BYTES, readClassicName } from "../wire/classic.ts";
import type { Entry } from "../wire/field.ts";
import type { ClassicLink } from "./classic_link.ts";

/** A file that is no larger, in bytes, is sooner read to its end than hung up on, when only its size is wanted. */
export const CHEAP = 64 * 1024;

/** Asks for a file, and answers its size; its bytes are still to come. */
export async function askSize(link: ClassicLink, name: Uint8Array): Promise<number> {
  await link.write(concatBytes([Uint8Array.of(CLASSIC.get), name]));
  return await link.size();
}

/** The size of a file, whose bytes are read to nowhere unless they are many. */
export async function readSize(link: ClassicLink, name: Uint8Array): Promise<number> {
  const size = await askSize(link, name);
  if (size > 0 && size <= CHEAP) await link.fill(new Uint8Array(size), "a file");
  return size;
}

/** Takes the bytes of a file that was asked for. @throws {FshError} CONNECTION_LOST */
export async function receive(
  link: ClassicLink,
  options: GetOptions & { readonly info: Info; readonly path: string },
): Promise<Sum> {
  const { algorithm = "crc32", limiter, progress, info, path } = options;
  const digest = createDigest(algorithm);
  const sink = await options.open(info);
  const buffer = frameBuffers.take();
  const most = Math.min(buffer.length, limiter?.chunk ?? Infinity);
  try {
    for (let left = info.size; left > 0;) {
      const read = await link.read(buffer.subarray(0, Math.min(left, most)));
      if (read === null) {
        const detail = `${info.size - left} of ${info.size} announced bytes came`;
        throw new FshError("CONNECTION_LOST", { subject: path, detail });
      }
      left -= read;
      const chunk = buffer.subarray(0, read);
      digest.update(chunk);
      progress?.(read);
      const busy = sink(chunk);
      if (busy) await busy;
      const early = limiter?.take(read);
      if (early) await early;
    }
    return { size: info.size, algorithm, digest: digest.finish() };
  } finally {
    frameBuffers.give(buffer);
  }
}

/**
 * Whether the server goes on behind a file, by a PING: what comes before its answer is more than was announced. One that
 * hangs up after each file has sent what it announced.
 *
 * @throws {FshError} SIZE_MISMATCH
 */
export async function endsHere(link: ClassicLink, path: string): Promise<boolean> {
  const answer = await link.ping().catch((error) => {
    if (isError(error, "CONNECTION_RESET", "CONNECTION_LOST")) return "closed";
    throw error;
  });
  if (answer !== "else") return answer === "pong";
  throw new FshError("SIZE_MISMATCH", { subject: path, detail: "the server sent more than it announced" });
}

/** That a PING behind it is answered shows that all of a put was read and the connection not closed over it. */
export async function confirmTaken(link: ClassicLink, path: string): Promise<void> {
  const answer = await link.ping();
  if (answer === "pong") return;
  if (answer === "else") throw new FshError("BAD_CLASSIC", { subject: link.remote, detail: "no answer to a PING" });
  throw new FshError("NOT_CONFIRMED", {
    subject: path,
    detail: "it closed the connection, which is its only way to refuse",
  });
}

/** The names that have one; a field without its NUL is none of this protocol. @throws {FshError} BAD_CLASSIC */
export function namesIn(fields: Uint8Array, remote: string): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < fields.length; at += NAME_BYTES) {
    const field = fields.subarray(at, at + NAME_BYTES);
    if (!field.includes(0)) throw new FshError("BAD_CLASSIC", { subject: remote, detail: "a name without an end" });
    try {
      const name = readClassicName(field);
      if (oddName(name) === null) entries.push({ name, type: "file", size: NaN, modified: null, mode: null });
    } catch {
      // Left out, and counted by what is missing.
    }
  }
  return entries;
}
