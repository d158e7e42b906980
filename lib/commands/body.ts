import { frameBuffers, release } from "../base/buffer_pool.ts";
import { equalBytes, toHex } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import type { Digest } from "../base/digest.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Rate } from "../base/rate_limiter.ts";
import type { Soon } from "../base/soon.ts";
import type { CommandStream, Sink, Work } from "../session/command.ts";
import type { FileRegion } from "../base/file_region.ts";
import type { FileReader } from "../storage/storage.ts";
import type { Message } from "../wire/codec.ts";
import { type CompressMode, Compressor } from "../wire/compression.ts";
import { HEADER_BYTES } from "../wire/frames.ts";
import { type FrameBuffer, LEAST_PAYLOAD, SendBuffers } from "./send_buffers.ts";

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
  readonly limiter?: Rate | undefined;
  readonly progress?: Progress | undefined;
  readonly compress?: CompressMode | undefined;
}

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

/** What comes next: a piece of a file that the system sends by itself, or bytes that are being read. */
type Piece =
  | { readonly region: FileRegion; readonly reading?: undefined }
  | { readonly reading: Soon<number | null>; readonly buffer: FrameBuffer };

/**
 * Sends all of a source as DATA frames: the next chunk is read while this one is on its way, each behind room for its
 * header, so that nothing is copied. What the system can send by itself is not even read. A chunk is read only once the
 * peer has granted room for it, so that no memory is held for a peer that takes nothing.
 */
export async function sendBody(
  stream: CommandStream,
  source: Source,
  options: SendOptions,
): Promise<Sum> {
  const { digest, limiter, compress = "never", progress } = options;
  let size = options.begun ?? 0;
  const compressor = new Compressor(compress);
  const pieces = new Pieces(stream, source, { ...options, compressor });
  let piece: Piece | null = await pieces.next();
  try {
    for (;;) {
      if (stream.signal.aborted) throw stream.signal.reason;
      let length: number | null;
      let sent: Promise<void>;
      if (piece.reading === undefined) {
        const { region }: { region: FileRegion } = piece;
        length = region.length;
        digest.append(length, region.crc);
        await limiter?.take(length);
        sent = stream.sendRegion(region);
      } else {
        const { reading }: { reading: Soon<number | null> } = piece;
        length = reading instanceof Promise ? await unlessGivenUp(reading, stream) : reading;
        if (length === null) break;
        const frame = piece.buffer.bytes.subarray(0, HEADER_BYTES + length);
        const payload = frame.subarray(HEADER_BYTES);
        const crc = crc32(payload);
        source.learn?.(crc);
        digest.update(payload, crc);
        await limiter?.take(length);
        sent = stream.sendData(frame, { crc, compressor });
      }
      size += length;
      // What is read meanwhile may fail, but the frame must be out before its buffer is free.
      sent.catch(() => {});
      const ahead = pieces.ahead();
      const going: Piece = piece;
      piece = ahead;
      await sent.finally(() => pieces.done(going));
      progress?.(length);
      piece ??= await pieces.next();
    }
    return { size, algorithm: digest.algorithm, digest: digest.finish() };
  } catch (error) {
    if (isError(error, "BAD_CRC", "DIGEST_MISMATCH")) source.forget?.();
    throw error;
  } finally {
    pieces.close(piece);
  }
}

/** Takes a body apart: each piece as large as stream, limiter and memory allow now. */
class Pieces {
  readonly #stream: CommandStream;
  readonly #source: Source;
  readonly #options: SendOptions & { readonly compressor: Compressor };
  readonly #buffers: SendBuffers;
  readonly #direct: boolean;
  readonly #unchecked: boolean;

  constructor(stream: CommandStream, source: Source, options: SendOptions & { readonly compressor: Compressor }) {
    const { digest, size = null, compress = "never" } = options;
    this.#stream = stream;
    this.#source = source;
    this.#options = options;
    const small = size !== null && size <= LEAST_PAYLOAD;
    this.#buffers = new SendBuffers({
      memory: stream.memory,
      small: small ? size : null,
      packs: compress !== "never",
    });
    this.#unchecked = digest.algorithm === "none";
    this.#direct = stream.sendsRegions && digest.algorithm !== "sha256" && !small;
  }

  get #most(): number {
    return Math.min(this.#stream.chunkSize, this.#options.limiter?.chunk ?? Infinity);
  }

  /** The next piece, as soon as the peer takes it and there is memory for it. */
  async next(): Promise<Piece> {
    const room = this.#stream.afford(this.#most);
    if (room) {
      this.#buffers.rest();
      await room;
    }
    return this.#region() ?? this.#read(await this.#buffers.take());
  }

  /** As `next`; null where it would have to wait. */
  ahead(): Piece | null {
    if (this.#stream.credit < this.#most) return null;
    const region = this.#region();
    if (region) return region;
    const buffer = this.#buffers.tryTake();
    return buffer && this.#read(buffer);
  }

  #region(): Piece | null {
    if (!this.#direct || this.#options.compressor.isActive) return null;
    const region = this.#source.region?.(this.#most, { unchecked: this.#unchecked });
    return region ? { region } : null;
  }

  #read(buffer: FrameBuffer): Piece {
    const room = buffer.bytes.subarray(HEADER_BYTES, HEADER_BYTES + this.#most);
    let reading: Soon<number | null>;
    try {
      reading = this.#source.read(room);
    } catch (error) {
      reading = Promise.reject(error);
    }
    // Whoever awaits it hears of its failure.
    if (reading instanceof Promise) reading.catch(() => {});
    return { reading, buffer };
  }

  /** The piece was sent. */
  done(piece: Piece): void {
    if (piece.reading !== undefined) this.#buffers.done(piece.buffer);
  }

  /** Nothing more is sent; `left` was not. */
  close(left: Piece | null): void {
    const giveBack = () => {
      if (left) this.done(left);
      this.#buffers.rest();
    };
    // A buffer that is still being filled must not be given to somebody else; and input may never come.
    if (left?.reading instanceof Promise) left.reading.then(giveBack, giveBack);
    else giveBack();
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
