import { concatBytes } from "../base/bytes.ts";

/** Bytes that are read at once, however few are taken. */
const CHUNK = 256 * 1024;

/** Takes bytes out of a file in pieces of any size. */
export class ByteSource {
  readonly #source: { read(into: Uint8Array): Promise<number | null> };
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(source: { read(into: Uint8Array): Promise<number | null> }) {
    this.#source = source;
  }

  /** So many bytes; fewer at the end of the source. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let left = length; left > 0;) {
      if (this.#chunk.length === 0) {
        const chunk = new Uint8Array(CHUNK);
        const read = await this.#source.read(chunk);
        if (read === null) break;
        this.#chunk = chunk.subarray(0, read);
      }
      const part = this.#chunk.subarray(0, left);
      this.#chunk = this.#chunk.subarray(part.length);
      left -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? parts[0] as Uint8Array : concatBytes(parts);
  }
}
