import { frameBuffers } from "../base/buffer_pool.ts";
import { equalBytes, toHex } from "../base/bytes.ts";
import { createDigest, type Digest } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { CommandStream, Sink } from "../session/command.ts";
import type { Message } from "../wire/codec.ts";
import { HEADER_BYTES } from "../wire/frames.ts";

/** Up to this many bytes a body gets buffers of its own size, so that many small files need little memory. */
const SMALL_BODY = 64 * 1024;

/** Where a body's bytes come from. */
export interface Source {
  read(buffer: Uint8Array): Promise<number | null>;
}

/** What was moved. */
export interface Sum {
  readonly size: number;
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

/** Called with the bytes moved since the last call. */
export type Progress = (bytes: number) => void;

/**
 * Sends all of a source as DATA frames: the next chunk is read while this one is on its way, each behind room for its
 * header, so that nothing is copied.
 */
export async function sendBody(
  stream: CommandStream,
  source: Source,
  options: { algorithm: string; size?: number | null; progress?: Progress | undefined },
): Promise<Sum> {
  const digest = createDigest(options.algorithm);
  let size = 0;
  const small = options.size !== undefined && options.size !== null && options.size <= SMALL_BODY;
  const newBuffer = () => small ? new Uint8Array(HEADER_BYTES + (options.size || 1)) : frameBuffers.take();
  const buffers = [newBuffer(), newBuffer()] as const;
  const fill = (buffer: Uint8Array) => source.read(buffer.subarray(HEADER_BYTES, HEADER_BYTES + stream.chunkSize));
  let reading: Promise<number | null> | null = fill(buffers[0]);
  try {
    for (let turn: 0 | 1 = 0;; turn = turn === 0 ? 1 : 0) {
      const buffer = buffers[turn];
      const read: number | null = await reading;
      reading = null;
      if (read === null) break;
      reading = fill(buffers[turn === 0 ? 1 : 0]);
      const frame = buffer.subarray(0, HEADER_BYTES + read);
      digest.update(frame.subarray(HEADER_BYTES));
      size += read;
      await stream.sendData(frame);
      options.progress?.(read);
    }
    return { size, algorithm: digest.algorithm, digest: digest.finish() };
  } finally {
    // A buffer that is still being filled must not be given to somebody else.
    await reading?.catch(() => {});
    if (!small) buffers.forEach((buffer) => frameBuffers.give(buffer));
  }
}

/**
 * Takes a body: DATA frames to the sink, then END. Checks END's size and digest against what came.
 *
 * @throws {FshError} TOO_LARGE beyond `limit` bytes, UNEXPECTED_FRAME, SIZE_MISMATCH, DIGEST_MISMATCH
 */
export async function receiveBody(
  stream: CommandStream,
  sink: Sink,
  options: { algorithm: string; limit?: number | null; progress?: Progress | undefined; subject: string },
): Promise<Sum> {
  const { limit = null, progress, subject } = options;
  const digest: Digest = createDigest(options.algorithm);
  let size = 0;
  const end = await stream.drain((chunk) => {
    size += chunk.length;
    if (limit !== null && size > limit) {
      throw new FshError("SIZE_MISMATCH", { subject, detail: `more than the announced ${limit} bytes` });
    }
    digest.update(chunk);
    progress?.(chunk.length);
    return sink(chunk);
  });
  if (end.name !== "END") throw new FshError("UNEXPECTED_FRAME", { subject: end.name });
  const sum: Sum = { size, algorithm: digest.algorithm, digest: digest.finish() };
  compareSums(sum, end.fields, subject);
  return sum;
}

/** @throws {FshError} SIZE_MISMATCH, DIGEST_MISMATCH */
export function compareSums(own: Sum, theirs: Sum, subject: string): void {
  if (own.size !== theirs.size) {
    throw new FshError("SIZE_MISMATCH", { subject, detail: `${own.size} bytes here, ${theirs.size} there` });
  }
  if (own.algorithm !== theirs.algorithm || !equalBytes(own.digest, theirs.digest)) {
    throw new FshError("DIGEST_MISMATCH", {
      subject,
      detail: `${own.algorithm} ${toHex(own.digest)} here, ${theirs.algorithm} ${toHex(theirs.digest)} there`,
    });
  }
}

/** The next message, which must be of the given name. */
export async function expect<N extends Message["name"]>(
  stream: CommandStream,
  name: N,
): Promise<Extract<Message, { name: N }>> {
  const message = await stream.next();
  if (message.name !== name) {
    const error = new FshError("UNEXPECTED_FRAME", { subject: message.name, detail: `${name} was due` });
    stream.cancel(error);
    throw error;
  }
  return message as Extract<Message, { name: N }>;
}
