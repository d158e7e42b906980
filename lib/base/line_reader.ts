import { decodeUtf8 } from "./bytes.ts";
import { type ErrorName, FshError } from "./errors.ts";

const LINE_FEED = 10;
/** Bytes that are asked for at once. */
const PIECE = 16 * 1024;

export interface LineReaderOptions {
  /** Longest line, in bytes. */
  readonly most: number;
  /** What a line that is too long, cut off, or not UTF-8 is called. */
  readonly fault: ErrorName;
}

/** Takes a stream of bytes apart into lines, which end in a line feed each. */
export class LineReader {
  readonly #source: { read(buffer: Uint8Array): Promise<number | null> };
  readonly #options: LineReaderOptions;
  #buffer = new Uint8Array(0);
  /** What of the buffer is filled. */
  #have = 0;

  constructor(source: { read(buffer: Uint8Array): Promise<number | null> }, options: LineReaderOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** The next line, without its end; null: there is none. Rejects with the fault, or what reading fails with. */
  async next(): Promise<string | null> {
    const { most } = this.#options;
    for (let looked = 0;;) {
      const end = this.#buffer.subarray(0, this.#have).indexOf(LINE_FEED, looked);
      if ((end < 0 ? this.#have : end) > most) throw this.#fault(`a line of more than ${most} bytes`);
      if (end >= 0) return this.#take(end);
      looked = this.#have;
      if (this.#buffer.length - this.#have < PIECE / 2) this.#grow();
      const read = await this.#source.read(this.#buffer.subarray(this.#have));
      if (read !== null) this.#have += read;
      else if (this.#have > 0) throw this.#fault("it ended in the middle of a line");
      else return null;
    }
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(PIECE, 2 * this.#buffer.length));
    larger.set(this.#buffer.subarray(0, this.#have));
    this.#buffer = larger;
  }

  #take(end: number): string {
    try {
      return decodeUtf8(this.#buffer.subarray(0, end));
    } catch {
      throw this.#fault("it is not UTF-8");
    } finally {
      this.#buffer.copyWithin(0, end + 1, this.#have);
      this.#have -= end + 1;
    }
  }

  #fault(detail: string): FshError {
    return new FshError(this.#options.fault, { detail });
  }
}
