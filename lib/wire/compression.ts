import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { FshError } from "../base/errors.ts";
import { HEADER_BYTES } from "./frames.ts";

/** What HELLO's capabilities call it. */
export const ZSTD = "zstd";

export const COMPRESS_MODES = ["auto", "never", "always"] as const;
/** `auto`: where the link is slower than compressing, and as long as the data shrinks. */
export type CompressMode = typeof COMPRESS_MODES[number];

/** Fast: some hundred megabytes a second (zstd's manual: levels up to 22 are slower and only a little smaller). */
const LEVEL = 1;
/**
 * A link that takes more than this, in bytes per millisecond, is not worth it: what looks like a slow link may be a busy
 * reader, and compressing would only make it busier.
 */
const WORTHWHILE = 20_000;
/** What a frame still counts for once the next one was sent. */
const FADE = 0.9;
/** A frame must shrink to this share, or it goes as it is. */
const SHRUNK = 0.9;
/** After data that does not shrink, so many frames go as they are; twice as many after the next attempt in vain. */
const GIVE_UP = { first: 8, most: 256 };
/**
 * A frame of fewer bytes does not tell how fast the link is: handing it over takes longer. After so many of them in a
 * row (data that shrinks to next to nothing) the next frame goes as it is, to find out; after twice as many the next time
 * where the link was slow again.
 */
const TELLING = 16 * 1024;
const FIND_OUT = { first: 64, most: 1024 };
/** Under this many bytes a frame is not worth it. */
const TINY = 512;

/** Decides, frame by frame of one transfer, whether to compress, and does it. */
export class Compressor {
  readonly #mode: CompressMode;
  /** Bytes that the link took lately, and milliseconds that it took for them. */
  #bytes = 0;
  #ms = 0;
  #passing = 0;
  #patience = GIVE_UP.first;
  /** Frames in a row that told nothing, and how many there may be. */
  #untold = 0;
  #mostUntold = FIND_OUT.first;

  constructor(mode: CompressMode) {
    this.#mode = mode;
  }

  /** Whether frames are being compressed now. */
  get isActive(): boolean {
    return this.#mode === "always" || (this.#mode === "auto" && this.#bytes < WORTHWHILE * this.#ms);
  }

  /** A compressed copy of a frame: room for its header and then the payload. Null: it goes as it is. */
  compress(frame: Uint8Array): Uint8Array<ArrayBuffer> | null {
    if (!this.isActive || frame.length < HEADER_BYTES + TINY) return null;
    if (this.#mode === "auto" && this.#passing > 0) {
      this.#passing--;
      return null;
    }
    const packed = zstdCompressSync(frame.subarray(HEADER_BYTES), {
      params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    });
    if (packed.length > (frame.length - HEADER_BYTES) * SHRUNK) {
      this.#passing = this.#patience;
      this.#patience = Math.min(2 * this.#patience, GIVE_UP.most);
      return null;
    }
    this.#patience = GIVE_UP.first;
    const copy = new Uint8Array(HEADER_BYTES + packed.length);
    copy.set(packed, HEADER_BYTES);
    return copy;
  }

  /** So many bytes were handed to the link in `ms` milliseconds, waiting for room included. */
  sent(bytes: number, ms: number): void {
    this.#bytes = FADE * this.#bytes + bytes;
    this.#ms = FADE * this.#ms + ms;
    if (bytes >= TELLING) {
      this.#untold = 0;
      if (!this.isActive) this.#mostUntold = FIND_OUT.first;
    } else if (++this.#untold >= this.#mostUntold) {
      this.#bytes = this.#ms = this.#untold = 0;
      this.#mostUntold = Math.min(2 * this.#mostUntold, FIND_OUT.most);
    }
  }
}

/**
 * The payload of a compressed frame. Bounded: one that would become more than `max` bytes is refused while it is being
 * unpacked. That all of it is there is for the CRC of the frame and the digest of the file to tell.
 *
 * @throws {FshError} BAD_COMPRESSION
 */
export function decompress(payload: Uint8Array, max: number): Uint8Array {
  try {
    const { buffer, byteOffset, length } = zstdDecompressSync(payload, { maxOutputLength: max });
    return new Uint8Array(buffer, byteOffset, length);
  } catch (cause) {
    throw new FshError("BAD_COMPRESSION", { cause });
  }
}
