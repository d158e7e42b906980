import { BufferPool } from "./buffer_pool.ts";

/** Bytes of one block. */
const BLOCK = 128 * 1024;

const blocks = new BufferPool(BLOCK, 16);

/** Memory for many small things that are all done with at the same time. */
export class Arena implements Disposable {
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  #used = BLOCK;

  /** Memory with arbitrary content, good until the arena is reset. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes > BLOCK / 2) return new Uint8Array(bytes);
    if (this.#used + bytes > BLOCK) {
      this.#blocks.push(blocks.take());
      this.#used = 0;
    }
    const block = this.#blocks.at(-1) as Uint8Array<ArrayBuffer>;
    this.#used += bytes;
    return block.subarray(this.#used - bytes, this.#used);
  }

  /** Everything that was taken is given up. */
  reset(): void {
    for (const block of this.#blocks.splice(0)) blocks.give(block);
    this.#used = BLOCK;
  }

  [Symbol.dispose](): void {
    this.reset();
  }
}
