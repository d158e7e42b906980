import { frameBuffers } from "../../base/buffer_pool.ts";
import { osError } from "../../storage/os_error.ts";
import { Patience } from "../../storage/patience.ts";

/** So many bytes are flushed at once, and no more than twice as many wait for the disk: the trial ends soon, however slow. */
const FLUSH_EVERY = 8 * 1024 * 1024;
/** A write that takes longer, in milliseconds, goes to the background; as in LocalWriter. */
const SLOW_WRITE = 20;
const WRITE_PIECE = 64 * 1024;

/**
 * A file that nobody else sees, for finding out what a disk takes in the long run: the page cache, which takes anything
 * for a while, is flushed all the time, beside the writing.
 */
export class FlushedFile {
  /** Bytes that were written. */
  written = 0;
  readonly #file: Deno.FsFile;
  readonly #folder: string;
  readonly #patience = new Patience(SLOW_WRITE);
  #flushing: Promise<void> | null = null;
  #unflushed = 0;
  #waited = 0;
  /** Since when a write has been under way in the background. */
  #since: number | null = null;
  #busy: Promise<void> = Promise.resolve();
  readonly #path: string;

  private constructor(file: Deno.FsFile, place: { folder: string; path: string }) {
    this.#file = file;
    this.#folder = place.folder;
    this.#path = place.path;
  }

  /** @throws {FshError} NOT_FOUND, NOT_PERMITTED, NO_SPACE, READ_ONLY_STORAGE, naming the folder */
  static async create(folder: string): Promise<FlushedFile> {
    try {
      const path = await Deno.makeTempFile({ dir: folder, prefix: ".fsh-doctor-" });
      const file = await Deno.open(path, { read: true, write: true });
      // Without a name it goes with this process, however that ends.
      if (Deno.build.os !== "windows") await Deno.remove(path);
      return new FlushedFile(file, { folder, path });
    } catch (error) {
      throw osError(error, folder);
    }
  }

  /** Milliseconds that writing was waited for. */
  get waited(): number {
    return this.#waited + (this.#since === null ? 0 : performance.now() - this.#since);
  }

  /** As the sink of a transfer: with a promise for an answer it is busy until that resolves. */
  write(chunk: Uint8Array): Promise<void> | void {
    const begun = performance.now();
    if (!this.#patience.isExhausted && this.#flushing === null) {
      try {
        this.#patience.watch(() => {
          for (let at = 0; at < chunk.length;) at += this.#file.writeSync(chunk.subarray(at, at + WRITE_PIECE));
        });
      } catch (error) {
        throw osError(error, this.#folder);
      }
      this.#wrote(chunk.length, begun);
      return;
    }
    const buffer = chunk.length <= frameBuffers.size ? frameBuffers.take() : new Uint8Array(chunk.length);
    buffer.set(chunk);
    this.#since = begun;
    return this.#busy = this.#writeBehind(buffer, chunk.length);
  }

  async #writeBehind(buffer: Uint8Array<ArrayBuffer>, length: number): Promise<void> {
    const begun = performance.now();
    try {
      for (let at = 0; at < length;) {
        at += await this.#file.write(buffer.subarray(at, Math.min(at + WRITE_PIECE, length)));
      }
      if (this.#unflushed >= FLUSH_EVERY) await this.#flushing;
      this.#wrote(length, begun);
    } catch (error) {
      throw osError(error, this.#folder);
    } finally {
      this.#since = null;
      if (buffer.length === frameBuffers.size) frameBuffers.give(buffer);
    }
  }

  #wrote(bytes: number, begun: number): void {
    this.#waited += performance.now() - begun;
    this.written += bytes;
    this.#unflushed += bytes;
    if (this.#flushing !== null || this.#unflushed < FLUSH_EVERY) return;
    this.#unflushed = 0;
    this.#flushing = this.#file.syncData().finally(() => this.#flushing = null);
    // Whoever waits for it hears of a failure; the next write would, too.
    this.#flushing.catch(() => {});
  }

  /** Waits until all of it is on the disk. */
  async flush(): Promise<void> {
    try {
      await this.#flushing;
      await this.#file.syncData();
    } catch (error) {
      throw osError(error, this.#folder);
    }
  }

  /** Leaves nothing behind. Waits for what is under way: a descriptor must not be closed beneath it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#busy.catch(() => {});
    await this.#flushing?.catch(() => {});
    this.#file.close();
    if (Deno.build.os === "windows") await Deno.remove(this.#path).catch(() => {});
  }
}
