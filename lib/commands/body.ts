import { frameBuffers } from "../base/buffer_pool.ts";
import { equalBytes, toHex } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import type { Digest } from "../base/digest.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { RateLimiter } from "../base/rate_limiter.ts";
import type { CommandStream, Sink, Work } from "../session/command.ts";
import type { FileRegion } from "../base/file_region.ts";
import type { FileReader } from "../storage/storage.ts";
import type { Message } from "../wire/codec.ts";
import { type CompressMode, Compressor } from "../wire/compression.ts";
import { HEADER_BYTES } from "../wire/frames.ts";

/** Up to this many bytes a body gets buffers of its own size, so that many small files need little memory. */
const SMALL_BODY = 64 * 1024;

/** Milliseconds between two signs that a body goes on although its source is silent. */
const STILL_THERE = 5_000;

/** Where a body's bytes come from. */
export type Source = Pick<FileReader, "read" | "region" | "learn" | "forget">;

/** What was moved. */
export interface Sum {
  readonly size: number;
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

/** `algorithm:hex`; undefined where none was made. */
export function digestText({ algorithm, digest }: Omit<Sum, "size">): string | undefined {
  return digest.length === 0 ? undefined : `${algorithm}:${toHex(digest)}`;
}

/** Called with the bytes moved since the last call. */
export type Progress = (bytes: number) => void;

export interface SendOptions {
  /** Stands behind what went before. */
  readonly digest: Digest;
  /** Bytes that went before: they count in the sum. */
  readonly begun?: number;
  /** Bytes that the source will give, where that is known. */
  readonly size?: number | null;
  readonly limiter?: RateLimiter | undefined;
  readonly progress?: Progress | undefined;
  readonly compress?: CompressMode | undefined;
}

export interface ReceiveOptions {
  readonly digest: Digest;
  readonly begun?: number;
  /** Bytes that may come at the most, `begun` included; null: as many as do. */
  readonly limit?: number | null;
  readonly limiter?: RateLimiter | undefined;
  readonly progress?: Progress | undefined;
  /** What it is about, for errors. */
  readonly subject: string;
}

/** What comes next: a piece of a file that the system sends by itself, or bytes that are being read. */
type Piece = { readonly region: FileRegion } | { readonly reading: Promise<number | null> };

/**
 * Sends all of a source as DATA frames: the next chunk is read while this one is on its way, each behind room for its
 * header, so that nothing is copied. What the system can send by itself is not even read.
 */
export async function sendBody(
  stream: CommandStream,
  source: Source,
  options: SendOptions,
): Promise<Sum> {
  const { digest, limiter, compress = "never", progress } = options;
  let size = options.begun ?? 0;
  const small = options.size !== undefined && options.size !== null && options.size <= SMALL_BODY;
  const newBuffer = () => small ? new Uint8Array(HEADER_BYTES + (options.size || 1)) : frameBuffers.take();
  const buffers = [newBuffer(), newBuffer()] as const;
  const compressor = new Compressor(compress);
  const unchecked = digest.algorithm === "none";
  const direct = stream.sendsRegions && digest.algorithm !== "sha256" && !small;
  const next = (buffer: Uint8Array): Piece => {
    const most = Math.min(stream.chunkSize, limiter?.chunk ?? Infinity);
    const region = direct && !compressor.isActive ? source.region?.(most, { unchecked }) : null;
    if (region) return { region };
    const reading = source.read(buffer.subarray(HEADER_BYTES, HEADER_BYTES + most));
    // Whoever awaits it hears of its failure.
    reading.catch(() => {});
    return { reading };
  };
  let piece: Piece | null = next(buffers[0]);
  try {
    for (let turn: 0 | 1 = 0;; turn = turn === 0 ? 1 : 0) {
      if (stream.signal.aborted) throw stream.signal.reason;
      let length: number | null;
      let send: () => Promise<void>;
      if ("region" in piece) {
        const { region } = piece;
        length = region.length;
        digest.append(length, region.crc);
        send = () => stream.sendRegion(region);
      } else {
        length = await unlessGivenUp(piece.reading, stream);
        if (length === null) break;
        const frame = buffers[turn].subarray(0, HEADER_BYTES + length);
        const payload = frame.subarray(HEADER_BYTES);
        const crc = crc32(payload);
        source.learn?.(crc);
        digest.update(payload, crc);
        send = () => stream.sendData(frame, { crc, compressor });
      }
      piece = null;
      size += length;
      await limiter?.take(length);
      const sent = send();
      // What is read meanwhile may fail, but the frame must be out before its buffer is free.
      sent.catch(() => {});
      piece = next(buffers[turn === 0 ? 1 : 0]);
      await sent;
      progress?.(length);
    }
    piece = null;
    return { size, algorithm: digest.algorithm, digest: digest.finish() };
  } catch (error) {
    if (isError(error, "BAD_CRC", "DIGEST_MISMATCH")) source.forget?.();
    throw error;
  } finally {
    const giveBack = () => {
      if (!small) buffers.forEach((buffer) => frameBuffers.give(buffer));
    };
    // A buffer that is still being filled must not be given to somebody else; and input may never come.
    if (piece === null || "region" in piece) giveBack();
    else piece.reading.then(giveBack, giveBack);
  }
}

/**
 * What the source gives, unless the stream is given up first. A source that takes long is no stall: an empty DATA frame
 * says now and then that more will come.
 */
function unlessGivenUp(reading: Promise<number | null>, stream: CommandStream): Promise<number | null> {
  const { signal } = stream;
  return new Promise((resolve, reject) => {
    const givenUp = () => finish(() => reject(signal.reason));
    const timer = setInterval(() => {
      stream.sendData(new Uint8Array(HEADER_BYTES)).catch(() => {});
    }, STILL_THERE);
    const finish = (settle: () => void) => {
      clearInterval(timer);
      signal.removeEventListener("abort", givenUp);
      settle();
    };
    signal.addEventListener("abort", givenUp);
    if (signal.aborted) givenUp();
    reading.then((length) => finish(() => resolve(length)), (error) => finish(() => reject(error)));
  });
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
  const { digest, limit = null, limiter, progress, subject } = options;
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
  });
  if (end.name !== "END") throw new FshError("UNEXPECTED_FRAME", { subject: end.name });
  const sum: Sum = { size, algorithm: digest.algorithm, digest: digest.finish() };
  compareSums(sum, end.fields, subject);
  return sum;
}

/** Adds what a source gives, `limit` bytes at the most, to a digest; answers how many there were. */
export async function readInto(
  digest: Digest,
  source: Source,
  options: { readonly signal: AbortSignal; readonly work?: Work; readonly limit?: number },
): Promise<number> {
  const { signal, work, limit = Infinity } = options;
  for (let size = 0;;) {
    const turn = work?.turn();
    if (turn) await turn;
    if (signal.aborted) throw signal.reason;
    // Whoever waits for a turn holds no buffer.
    const buffer = frameBuffers.take();
    try {
      const read = size < limit ? await source.read(buffer.subarray(0, Math.min(buffer.length, limit - size))) : null;
      if (read === null) return size;
      digest.update(buffer.subarray(0, read));
      size += read;
    } finally {
      frameBuffers.give(buffer);
    }
  }
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

/** Works with a stream, and gives it up when the signal says so or the work fails. */
export async function interruptible<T>(
  stream: CommandStream,
  signal: AbortSignal | undefined,
  work: (stream: CommandStream) => Promise<T>,
): Promise<T> {
  const interrupt = () => stream.cancel(toFshError(signal?.reason));
  signal?.addEventListener("abort", interrupt);
  try {
    if (signal?.aborted) interrupt();
    return await work(stream);
  } catch (error) {
    stream.cancel(toFshError(error));
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}
