import { FshError } from "../base/errors.ts";
import type { FileReader, ReadOptions, Stored } from "./storage.ts";
import { osError } from "./os_error.ts";

/** Reads a file of this machine from an offset on. */
export class LocalReader implements FileReader {
  readonly info: Stored;
  readonly #file: Deno.FsFile;
  #left: number;

  private constructor(file: Deno.FsFile, info: Stored, length: number) {
    this.#file = file;
    this.info = info;
    this.#left = length;
  }

  static async start(file: Deno.FsFile, info: Stored, options: ReadOptions): Promise<LocalReader> {
    const { offset = 0, length = null } = options;
    if (offset > info.size) throw new FshError("BAD_OFFSET", { detail: `${offset} of ${info.size} bytes` });
    if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
    return new LocalReader(file, info, Math.min(length ?? Infinity, info.size - offset));
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#left === 0) return null;
    try {
      const read = await this.#file.read(buffer.length > this.#left ? buffer.subarray(0, this.#left) : buffer);
      this.#left -= read ?? 0;
      return read;
    } catch (error) {
      throw osError(error, this.info.name);
    }
  }

  close(): void {
    this.#file.close();
  }
}
