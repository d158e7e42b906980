import { crc32 } from "../base/crc32.ts";
import type { Digest } from "../base/digest.ts";
import { isError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";
import type { Rate } from "../base/rate_limiter.ts";
import type { Soon } from "../base/soon.ts";
import type { CommandStream } from "../session/command.ts";
import { type CompressMode, Compressor } from "../wire/compression.ts";
import { HEADER_BYTES } from "../wire/frames.ts";
import { type FrameBuffer, LEAST_PAYLOAD, SendBuffers } from "./send_buffers.ts";
import type { Source } from "./source.ts";
import type { Progress, Sum } from "./sum.ts";

/** Milliseconds between two signs that a body goes on although its source is silent. */
const STILL_THERE = 5_000;

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
  /** Says what stands behind the body. Called once all of it was handed over, so that it goes along with the last of it. */
  readonly end: (sum: Sum) => Promise<void>;
}

/** What comes next: a piece of a file that the system sends by itself, or bytes that are being read. */
type Piece =
  | { readonly region: FileRegion; readonly reading?: undefined }
  | { readonly reading: Soon<number | null>; readonly buffer: FrameBuffer };

/**
 * Sends all of a source as DATA frames, and its end: the next chunk is read while this one is on its way, each behind
 * room for its header, so that nothing is copied. What the system can send by itself is not even read. A chunk is read
 * only once the peer has granted room for it, so that no memory is held for a peer that takes nothing.
 */
export async function sendBody(
  stream: CommandStream,
  source: Source,
  options: SendOptions,
): Promise<Sum> {
  const { digest, limiter, compress = "never", progress, end } = options;
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
      sent.catch(() => {});
      const ahead = pieces.ahead();
      const going: Piece = piece;
      piece = ahead;
      const sum = ahead?.reading === null ? sumOf(digest, size) : null;
      // The frame must be out before its buffer is free, whatever becomes of the rest.
      const [out, ended] = await Promise.allSettled([sent, sum && end(sum)]);
      pieces.done(going);
      for (const one of [out, ended]) if (one.status === "rejected") throw one.reason;
      progress?.(length);
      if (sum) return sum;
      piece ??= await pieces.next();
    }
    const sum = sumOf(digest, size);
    await end(sum);
    return sum;
  } catch (error) {
    if (isError(error, "BAD_CRC", "DIGEST_MISMATCH")) source.forget?.();
    throw error;
  } finally {
    pieces.close(piece);
  }
}

function sumOf(digest: Digest, size: number): Sum {
  return { size, algorithm: digest.algorithm, digest: digest.finish() };
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
