/**
 * Reuses large buffers, so that a transfer allocates nothing as it goes, and frees those that are too many at once
 * instead of leaving them to the garbage collector, which sees no hurry while the program idles.
 */
export class BufferPool {
  readonly size: number;
  readonly #keep: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Buffers of `size` bytes; at most `keep` unused ones are held. */
  constructor(size: number, keep: number) {
    this.size = size;
    this.#keep = keep;
  }

  /** A buffer with arbitrary content, the caller's until it gives it back. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(this.size);
  }

  /** Takes back a buffer of `take`, whole; nobody may read or write it any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    if (this.#free.length < this.#keep) this.#free.push(buffer);
    else release(buffer);
  }
}

/** Frees a buffer's memory now; it has no bytes any more. */
export function release(buffer: Uint8Array<ArrayBuffer>): void {
  buffer.buffer.transfer(0);
}

/** For a DATA frame with its header, or the payload of one on its way to a slow disk. */
export const frameBuffers: BufferPool = new BufferPool(1024 * 1024 + 16, 4);
