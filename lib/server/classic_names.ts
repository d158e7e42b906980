import { release } from "../base/buffer_pool.ts";
import { encodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Lease } from "../base/memory_shares.ts";
import { classicCount, NAME_BYTES } from "../wire/classic.ts";

/** Names of one answer at the most: 16 MiB on the wire, which a client may well want to hold at once. */
export const MOST_CLASSIC_NAMES = 65_536;

/** Names are collected in pieces of so many bytes, or of `most` where there is plenty. */
const BLOCK = { least: 32 * 1024, most: 512 * 1024 };
/** Names that go out in one write. */
const AT_ONCE = 128;

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lease: Lease;
  used: number;
}

/**
 * The names of one LIST. Their number goes before them, so all of them have to be there first: packed, each with its NUL,
 * in memory that is paid for.
 */
export class ClassicNames implements Disposable {
  readonly #memory: MemoryAccount;
  readonly #blocks: Block[] = [];
  #count = 0;

  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  /** @throws {FshError} LISTING_TOO_LARGE, NO_MEMORY */
  add(name: string): void {
    const bytes = encodeUtf8(name);
    // Elsewhere than on Linux they may be longer; what can't be asked for need not be named.
    if (bytes.length >= NAME_BYTES) return;
    if (this.#count === MOST_CLASSIC_NAMES) {
      const detail = `at most ${MOST_CLASSIC_NAMES} names in the classic protocol`;
      throw new FshError("LISTING_TOO_LARGE", { subject: "/", detail });
    }
    const block = this.#roomFor(bytes.length + 1);
    block.bytes.set(bytes, block.used);
    block.bytes[block.used + bytes.length] = 0;
    block.used += bytes.length + 1;
    this.#count++;
  }

  /** The answer to LIST: count and names, piece by piece, each good until the next. */
  async send(write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    await write(classicCount(this.#count));
    using _lease = await this.#memory.take(AT_ONCE * NAME_BYTES);
    const piece = new Uint8Array(AT_ONCE * NAME_BYTES);
    let filled = 0;
    for (const { bytes, used } of this.#blocks) {
      for (let at = 0; at < used;) {
        const end = bytes.indexOf(0, at) + 1;
        piece.set(bytes.subarray(at, end), filled);
        filled += NAME_BYTES;
        at = end;
        if (filled < piece.length) continue;
        await write(piece);
        piece.fill(0);
        filled = 0;
      }
    }
    if (filled > 0) await write(piece.subarray(0, filled));
  }

  #roomFor(bytes: number): Block {
    const last = this.#blocks.at(-1);
    if (last && last.used + bytes <= last.bytes.length) return last;
    // Who holds some must not wait for more: all would wait for each other.
    const lease = this.#memory.tryTake(BLOCK.least, BLOCK.most);
    if (!lease) throw new FshError("NO_MEMORY", { detail: "too many names for the server's memory now" });
    const block = { bytes: new Uint8Array(lease.bytes), lease, used: 0 };
    this.#blocks.push(block);
    return block;
  }

  [Symbol.dispose](): void {
    for (const { bytes, lease } of this.#blocks) {
      release(bytes);
      lease.release();
    }
  }
}
