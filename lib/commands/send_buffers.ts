import { BufferPool, frameBuffers } from "../base/buffer_pool.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Lease } from "../base/memory_shares.ts";
import { HEADER_BYTES } from "../wire/frames.ts";

/** The payload that there is always room for, sooner or later, in bytes. */
export const LEAST_PAYLOAD = 64 * 1024;

const modestBuffers = new BufferPool(HEADER_BYTES + LEAST_PAYLOAD, 8);

/** Room for one DATA frame with its header, paid for. */
export interface FrameBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lease: Lease;
}

export interface SendBuffersOptions {
  readonly memory: MemoryAccount;
  /** Bytes of the whole body, where that is known and small: then its buffers are no larger. */
  readonly small: number | null;
  /** Whether frames may be compressed, which takes as much memory again. */
  readonly packs: boolean;
}

/** The buffers of one body on its way: it keeps them from frame to frame, unless others wait for memory. */
export class SendBuffers {
  readonly #memory: MemoryAccount;
  readonly #least: number;
  readonly #most: number;
  readonly #copies: number;
  #idle: FrameBuffer[] = [];

  constructor({ memory, small, packs }: SendBuffersOptions) {
    this.#memory = memory;
    this.#copies = packs ? 2 : 1;
    this.#least = HEADER_BYTES + Math.min(small || (small === 0 ? 1 : LEAST_PAYLOAD), LEAST_PAYLOAD);
    this.#most = small === null ? frameBuffers.size : this.#least;
  }

  /** One that is there already or can be had at once. */
  tryTake(): FrameBuffer | null {
    const idle = this.#idle.pop();
    if (idle) return idle;
    const lease = this.#memory.tryTake(this.#copies * this.#least, this.#copies * this.#most);
    return lease && this.#buffer(lease);
  }

  async take(): Promise<FrameBuffer> {
    const found = this.tryTake();
    if (found) return found;
    return this.#buffer(await this.#memory.take(this.#copies * this.#least, this.#copies * this.#most));
  }

  #buffer(lease: Lease): FrameBuffer {
    const size = lease.bytes / this.#copies;
    const bytes = size === frameBuffers.size
      ? frameBuffers.take()
      : size === modestBuffers.size
      ? modestBuffers.take()
      : new Uint8Array(size);
    return { bytes, lease };
  }

  /** The frame in it was sent. */
  done(buffer: FrameBuffer): void {
    if (this.#memory.isWanted) free(buffer);
    else this.#idle.push(buffer);
  }

  /** Gives back what is not in use. */
  rest(): void {
    for (const buffer of this.#idle.splice(0)) free(buffer);
  }
}

/** Nobody reads or writes it any more. */
function free({ bytes, lease }: FrameBuffer): void {
  if (bytes.length === frameBuffers.size) frameBuffers.give(bytes);
  else if (bytes.length === modestBuffers.size) modestBuffers.give(bytes);
  lease.release();
}
