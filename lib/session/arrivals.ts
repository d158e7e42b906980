import { frameBuffers } from "../base/buffer_pool.ts";
import { combineCrc32 } from "../base/crc32.ts";
import type { Message } from "../wire/codec.ts";

/** Small chunks that have to wait are put together up to this many bytes, so that tiny frames cost no more than others. */
const MERGE = 64 * 1024;

/** Bytes that wait, with room for more behind them. */
export interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length: number;
  /** Of the `length` bytes, where it is known. */
  crc: number | undefined;
}

/** A message that waits. */
export interface Arrived {
  readonly message: Message;
  /** Bytes that it took from the window. */
  readonly metered: number;
}

/** What has come for a stream and was not taken yet, in order. */
export class Arrivals {
  readonly #waiting: (Arrived | Chunk)[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  addMessage(arrived: Arrived): void {
    this.#waiting.push(arrived);
  }

  /** Copies the payload, which is only good for now. */
  addData(payload: Uint8Array, crc: number | undefined): void {
    const last = this.#waiting.at(-1);
    if (last === undefined || !("bytes" in last)) {
      this.#waiting.push(newChunk(payload, crc, { more: false }));
    } else if (last.length + payload.length <= last.bytes.length) {
      last.bytes.set(payload, last.length);
      last.length += payload.length;
      const known = last.crc !== undefined && crc !== undefined;
      last.crc = known ? combineCrc32(last.crc as number, crc, payload.length) : undefined;
    } else {
      this.#waiting.push(newChunk(payload, crc, { more: true }));
    }
  }

  shift(): Arrived | Chunk | undefined {
    return this.#waiting.shift();
  }

  clear(): void {
    for (const one of this.#waiting.splice(0)) if ("bytes" in one) freeChunk(one);
  }
}

/** `more`: another small one waits before it, so that more are to be expected. */
function newChunk(payload: Uint8Array, crc: number | undefined, options: { more: boolean }): Chunk {
  const bytes = options.more && payload.length <= MERGE / 4
    ? new Uint8Array(MERGE)
    : payload.length <= frameBuffers.size / 2
    ? new Uint8Array(payload.length)
    : frameBuffers.take();
  bytes.set(payload);
  return { bytes, length: payload.length, crc };
}

export function freeChunk({ bytes }: Chunk): void {
  if (bytes.length === frameBuffers.size) frameBuffers.give(bytes);
}
