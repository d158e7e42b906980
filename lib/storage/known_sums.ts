import { MAX_REGION } from "./storage.ts";

/** Blocks of all files together whose CRC-32 is remembered: 64 GiB of files, in less than a megabyte. */
const MOST_BLOCKS = 65_536;

/** What is known of one state of one file: CRC-32 by block of MAX_REGION bytes. */
export interface FileSums {
  readonly blocks: Map<number, number>;
}

/**
 * Remembers the CRC-32 of blocks of files that were read, so that they can be sent again without being looked at. A
 * file that changes has another identity and is not known.
 */
export class KnownSums {
  /** The one used longest ago first. */
  readonly #files = new Map<string, FileSums>();
  #blocks = 0;

  /** `identity` changes with whatever changes the file: see `Descriptors.identity`. */
  of(identity: string): FileSums {
    const sums = this.#files.get(identity) ?? { blocks: new Map<number, number>() };
    this.#files.delete(identity);
    this.#files.set(identity, sums);
    return sums;
  }

  learn(identity: string, block: number, crc: number): void {
    const { blocks } = this.of(identity);
    if (!blocks.has(block)) this.#blocks++;
    blocks.set(block, crc);
    for (const [oldest, { blocks }] of this.#files) {
      if (this.#blocks <= MOST_BLOCKS || oldest === identity) break;
      this.#blocks -= blocks.size;
      this.#files.delete(oldest);
    }
  }

  forget(identity: string): void {
    this.#blocks -= this.#files.get(identity)?.blocks.size ?? 0;
    this.#files.delete(identity);
  }
}

/** The block that begins at `offset`, if one does and `length` bytes are all of it. */
export function blockAt(offset: number, length: number, size: number): number | null {
  const whole = length === MAX_REGION || (length > 0 && offset + length === size);
  return offset % MAX_REGION === 0 && whole ? offset / MAX_REGION : null;
}
