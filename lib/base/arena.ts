import { BufferPool } from "./buffer_pool.ts";

/** Bytes of one block. */
const BLOCK = 128 * 1024;

const blocks = new BufferPool(BLOCK, 16);

/** Gives memory, with arbitrary content. */
export interface Room {
  take(bytes: number): Uint8Array<ArrayBuffer>;
}

/** Memory for many small things that are all done with at the same time. */
export class Arena implements Room, Disposable {
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  #block: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #used = 0;

  /** Memory with arbitrary content, good until the arena is reset. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes > BLOCK / 2) return new Uint8Array(bytes);
    if (this.#used + bytes > this.#block.length) {
      this.#block = blocks.take();
      this.#blocks.push(this.#block);
      this.#used = 0;
    }
    this.#used += bytes;
    return this.#block.subarray(this.#used - bytes, this.#used);
  }

  /** Everything that was taken is given up. */
  reset(): void {
    for (const block of this.#blocks.splice(0)) blocks.give(block);
    this.#block = new Uint8Array(0);
    this.#used = 0;
  }

  [Symbol.dispose](): void {
    this.reset();
  }
}
