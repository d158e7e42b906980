import { FshError } from "../base/errors.ts";
import type { FileReader, ReadOptions, Stored } from "./storage.ts";
import { osError } from "./os_error.ts";

/**
 * Milliseconds that one read may hold up the event loop before the reader goes over to reading in the background. Out of
 * the page cache a megabyte takes a tenth of one; handing it to another thread and back takes longer.
 */
const SLOW_READ = 5;

/** Reads a file of this machine from an offset on. */
export class LocalReader implements FileReader {
  readonly info: Stored;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #left: number;
  #slow = false;

  private constructor(file: Deno.FsFile, info: Stored, path: string, length: number) {
    this.#file = file;
    this.#path = path;
    this.info = info;
    this.#left = length;
  }

  /** `path` is for errors. */
  static async start(
    file: Deno.FsFile,
    info: Stored,
    options: ReadOptions & { path: string },
  ): Promise<LocalReader> {
    const { offset = 0, length = null, path } = options;
    if (offset > info.size) throw new FshError("BAD_OFFSET", { detail: `${offset} of ${info.size} bytes` });
    if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
    // Files of /proc and their like say that they are empty, and are not.
    const left = options.toEnd && info.size === 0 ? Infinity : info.size - offset;
    return new LocalReader(file, info, path, Math.min(length ?? Infinity, left));
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#left === 0) return null;
    try {
      const room = buffer.length > this.#left ? buffer.subarray(0, this.#left) : buffer;
      const read = this.#slow ? await this.#file.read(room) : this.#readNow(room);
      this.#left -= read ?? 0;
      return read;
    } catch (error) {
      throw osError(error, this.#path);
    }
  }

  #readNow(room: Uint8Array): number | null {
    const begun = performance.now();
    const read = this.#file.readSync(room);
    if (performance.now() - begun > SLOW_READ) this.#slow = true;
    return read;
  }

  async seek(offset: number): Promise<void> {
    try {
      await this.#file.seek(offset, Deno.SeekMode.Start);
      this.#left = Math.max(0, this.info.size - offset);
    } catch (error) {
      throw osError(error, this.#path);
    }
  }

  close(): void {
    this.#file.close();
  }
}
