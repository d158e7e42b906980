import { BufferPool, release } from "../base/buffer_pool.ts";
import { checkPayload, type FrameHeader, type RawFrame, readHeader } from "./codec.ts";
import { decompress } from "./compression.ts";
import { FLAG_FIN, FLAG_UNCHECKED, FLAG_ZSTD, type FrameName, frameRow, HEADER_BYTES, MAX_DATA } from "./frames.ts";

/** The largest receive buffer: two whole DATA frames, so that reads stay large while one is being parsed. */
const LARGE = 2 * (MAX_DATA + HEADER_BYTES);
/**
 * Sizes of the receive buffer, in bytes: of a quiet session; enough for every frame before READY; enough for every frame of
 * a client that was told to send small ones; the largest. Nothing between: whoever has to wait for a larger one must not
 * hold what others wait for.
 */
export const RECEIVE_SIZES = [2 * 1024, 16 * 1024, 96 * 1024, LARGE] as const;
const SMALL = RECEIVE_SIZES[0];
/** Up to this size the buffer grows whatever comes; further only for frames that are worth it, in bytes. */
const CROWD = RECEIVE_SIZES[1];
/** Frames of fewer bytes on average are not: they would only wait in it. */
const WORTH_GROWING = 512;
/** Below this much free space at the end, what is left of a frame is moved to the front, in bytes. */
const TIGHT = 512 * 1024;

const largeBuffers = new BufferPool(LARGE, 2);

function allocate(size: number): Uint8Array<ArrayBuffer> {
  return size === LARGE ? largeBuffers.take() : new Uint8Array(size);
}

function free(buffer: Uint8Array<ArrayBuffer>): void {
  if (buffer.length === LARGE) largeBuffers.give(buffer);
  else release(buffer);
}

/**
 * Cuts a byte stream into frames. The caller reads into `space()`, says how much with `filled()`, and takes frames
 * with `next()` until there is none; payloads are views into the buffer and good until `space()` is called again.
 *
 * The buffer grows with what has arrived, never with what a header claims, and is bounded by LARGE. Whoever has to ask for
 * memory calls `grow` before it takes `space()`; otherwise it grows by itself when it must.
 */
export class Splitter {
  readonly #check: (header: FrameHeader) => FrameName;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(SMALL);
  #start = 0;
  #end = 0;
  /** Frames taken since the last `space`. */
  #taken = 0;
  #header: { value: FrameHeader; name: FrameName } | null = null;

  /** `check` names the frame or throws; it sees each header as soon as it is complete. */
  constructor(check: (header: FrameHeader) => FrameName) {
    this.#check = check;
  }

  /** Bytes that have arrived and belong to no complete frame yet. */
  get pending(): number {
    return this.#end - this.#start;
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** Bytes that the buffer should have next: a read that filled it to its end says that there is more. Null: it is fine. */
  get wanted(): number | null {
    if (this.#end < this.#buffer.length || (this.#isCrowded && !this.isStuck)) return null;
    return RECEIVE_SIZES.find((size) => size > this.#buffer.length) ?? null;
  }

  get #isCrowded(): boolean {
    return this.#buffer.length >= CROWD && this.#taken * WORTH_GROWING > this.#buffer.length;
  }

  /** Whether the buffer is full of one frame, which has no room in it. */
  get isStuck(): boolean {
    return this.#start === 0 && this.#end === this.#buffer.length;
  }

  /** Takes a buffer of the next size. */
  grow(): void {
    const size = this.wanted;
    if (size === null) return;
    const pending = this.pending;
    const smaller = this.#buffer;
    this.#buffer = allocate(size);
    this.#buffer.set(smaller.subarray(this.#start, this.#end));
    free(smaller);
    this.#start = 0;
    this.#end = pending;
  }

  /** Room for the next read: never empty. */
  space(): Uint8Array {
    if (this.isStuck) this.grow();
    this.#taken = 0;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    const room = this.#buffer.length - this.#end;
    if (this.#start > 0 && room < Math.min(TIGHT, this.#buffer.length / 4)) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#buffer.subarray(this.#end);
  }

  filled(bytes: number): void {
    this.#end += bytes;
  }

  /** Goes over to a buffer of `size` while nothing is under way; false where something is. */
  relax(size: number): boolean {
    if (this.pending > 0) return false;
    if (this.#buffer.length > size) {
      free(this.#buffer);
      this.#buffer = new Uint8Array(size);
      this.#start = this.#end = 0;
    }
    return true;
  }

  /** Goes over to a smaller buffer, where what is pending leaves room in it; false: it does not. */
  shrink(size: number): boolean {
    if (this.pending >= size / 2 || this.#buffer.length <= size) return false;
    const larger = this.#buffer;
    this.#buffer = allocate(size);
    this.#buffer.set(larger.subarray(this.#start, this.#end));
    free(larger);
    this.#end = this.pending;
    this.#start = 0;
    return true;
  }

  /** Gives everything back; the splitter is of no further use. No read into `space()` may be under way. */
  close(): void {
    free(this.#buffer);
    this.#buffer = new Uint8Array(0);
    this.#start = this.#end = 0;
  }

  /**
   * The next complete frame, its CRC checked and its payload unpacked, or null.
   *
   * @throws {FshError} what the check throws, BAD_CRC, or BAD_COMPRESSION
   */
  next(): RawFrame | null {
    if (this.#header === null) {
      if (this.pending < HEADER_BYTES) return null;
      const value = readHeader(this.#buffer, this.#start);
      this.#header = { value, name: this.#check(value) };
    }
    const { value, name } = this.#header;
    if (this.pending < HEADER_BYTES + value.length) return null;
    const from = this.#start + HEADER_BYTES;
    const payload = this.#buffer.subarray(from, from + value.length);
    checkPayload(value, payload, name);
    this.#start = from + value.length;
    this.#header = null;
    this.#taken++;
    const { flags, stream, crc } = value;
    const fin = (flags & FLAG_FIN) !== 0;
    if (flags & FLAG_ZSTD) {
      const plain = decompress(payload, frameRow(name).max);
      return { name, fin, stream, crc: undefined, payload: plain, packed: payload.length };
    }
    return { name, fin, stream, crc: flags & FLAG_UNCHECKED ? undefined : crc, payload };
  }
}
