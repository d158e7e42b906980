/** Reuses large buffers, so that a transfer allocates nothing as it goes. */
export class BufferPool {
  readonly #size: number;
  readonly #keep: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Buffers of `size` bytes; at most `keep` unused ones are held. */
  constructor(size: number, keep: number) {
    this.#size = size;
    this.#keep = keep;
  }

  get size(): number {
    return this.#size;
  }

  /** A buffer with arbitrary content, the caller's until it gives it back. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(this.#size);
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length === this.#size && this.#free.length < this.#keep) this.#free.push(buffer);
  }
}
