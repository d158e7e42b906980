import { frameBuffers } from "../base/buffer_pool.ts";
import { combineCrc32 } from "../base/crc32.ts";
import type { Message } from "../wire/codec.ts";

/** Small chunks that have to wait are put together up to this many bytes, so that tiny frames cost no more than others. */
const MERGE = 64 * 1024;

/** Bytes that wait, with room for more behind them. */
export interface Chunk {
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
  /** Of the `length` bytes, where it is known. */
  crc: number | undefined;
}

/** A message that waits. */
export interface Arrived {
  readonly message: Message;
  /** Bytes that it took from the window. */
  readonly metered: number;
  /** Bytes of memory that it takes. */
  readonly cost: number;
}

/** What has come for a stream and was not taken yet, in order. */
export class Arrivals {
  readonly #hold: (bytes: number) => void;
  readonly #waiting: (Arrived | Chunk)[] = [];

  /** `hold` hears how much memory chunks take, and, negative, of what is freed; what messages take is for the caller to say. */
  constructor(hold: (bytes: number) => void) {
    this.#hold = hold;
  }

  get length(): number {
    return this.#waiting.length;
  }

  addMessage(arrived: Arrived): void {
    this.#waiting.push(arrived);
  }

  /** Copies the payload, which is only good for now. */
  addData(payload: Uint8Array, crc: number | undefined): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined && "bytes" in last && this.#hasRoom(last, payload.length)) {
      last.bytes.set(payload, last.length);
      last.length += payload.length;
      const known = last.crc !== undefined && crc !== undefined;
      last.crc = known ? combineCrc32(last.crc as number, crc, payload.length) : undefined;
    } else {
      const chunk = newChunk(payload, crc);
      this.#hold(chunk.bytes.length);
      this.#waiting.push(chunk);
    }
  }

  /** Whether a chunk has room for more; a small one is made larger for it. */
  #hasRoom(chunk: Chunk, more: number): boolean {
    const { bytes, length } = chunk;
    if (length + more <= bytes.length) return true;
    if (length + more > MERGE || bytes.length >= MERGE) return false;
    chunk.bytes = new Uint8Array(Math.min(2 * (length + more), MERGE));
    chunk.bytes.set(bytes.subarray(0, length));
    this.#hold(chunk.bytes.length - bytes.length);
    return true;
  }

  /** The chunk was taken: its memory is free. */
  free({ bytes }: Chunk): void {
    this.#hold(-bytes.length);
    if (bytes.length === frameBuffers.size) frameBuffers.give(bytes);
  }

  shift(): Arrived | Chunk | undefined {
    return this.#waiting.shift();
  }

  clear(): void {
    for (const one of this.#waiting.splice(0)) {
      if ("bytes" in one) this.free(one);
      else this.#hold(-one.cost);
    }
  }
}

function newChunk(payload: Uint8Array, crc: number | undefined): Chunk {
  const bytes = payload.length <= frameBuffers.size / 2 ? new Uint8Array(payload.length) : frameBuffers.take();
  bytes.set(payload);
  return { bytes, length: payload.length, crc };
}
