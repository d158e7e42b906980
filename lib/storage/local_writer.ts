import { frameBuffers, release } from "../base/buffer_pool.ts";
import { FshError } from "../base/errors.ts";
import { fileTime } from "./file_time.ts";
import type { Held } from "./jail.ts";
import { Patience } from "./patience.ts";
import { osError } from "./os_error.ts";
import type { FileAttributes, FileWriter } from "./storage.ts";

export type Durability = "none" | "file";

/** A write that takes longer, in milliseconds, should be in the background. Into the page cache a megabyte takes less than one. */
const SLOW_WRITE = 20;

/**
 * Bytes given to the system at once. The page cache makes room for a write in one piece where it can; megabytes took three
 * to four times as long as as many bytes in pieces of 64 KiB (ext4 with large folios, Linux 6.18).
 */
const WRITE_PIECE = 64 * 1024;

export interface LocalWriterOptions {
  readonly file: Deno.FsFile;
  /** Bytes of the file that are there already; it stands behind them. */
  readonly offset: number;
  /** Where the part file lies, by way of the held folder. */
  readonly part: string;
  /** Sets the part file's permission bits. */
  readonly setMode: (mode: number) => void;
  /** The target's name in its held folder; the writer lets go of it. */
  readonly target: Held;
  /** For error messages. */
  readonly path: string;
  /** Makes a rename in the target's folder durable; null: that is left to the system. */
  readonly flushFolder: (() => Promise<void>) | null;
  readonly patience: Patience;
  /** How the part becomes the target. */
  readonly move: (from: string, to: string) => Promise<void>;
  /** Called once, when the part file is no more. */
  readonly ended: () => void;
}

/** Writes a part file beside its target and renames it over the target at the end. */
export class LocalWriter implements FileWriter {
  readonly #options: LocalWriterOptions;
  readonly #file: Deno.FsFile;
  offset: number;
  readonly #patience = new Patience(SLOW_WRITE);
  #busy: Promise<void> | null = null;
  #open = true;
  #gone = false;

  constructor(options: LocalWriterOptions) {
    this.#options = options;
    this.#file = options.file;
    this.offset = options.offset;
  }

  async replay(
    take: (chunk: Uint8Array) => Promise<void> | void,
    { most = frameBuffers.size }: { readonly most?: number } = {},
  ): Promise<void> {
    const pooled = most >= frameBuffers.size;
    const buffer = pooled ? frameBuffers.take() : new Uint8Array(most);
    try {
      await this.#file.seek(0, Deno.SeekMode.Start);
      for (let left = this.offset; left > 0;) {
        const read = await this.#file.read(buffer.subarray(0, Math.min(left, buffer.length)));
        if (read === null) throw new FshError("STORAGE_FAILED", { detail: "an unfinished file became shorter" });
        const busy = take(buffer.subarray(0, read));
        if (busy) await busy;
        left -= read;
      }
    } catch (error) {
      throw osError(error, this.#options.path);
    } finally {
      if (pooled) frameBuffers.give(buffer);
      else release(buffer);
    }
  }

  async restart(): Promise<void> {
    try {
      await this.#file.truncate(0);
      await this.#file.seek(0, Deno.SeekMode.Start);
      this.offset = 0;
    } catch (error) {
      throw osError(error, this.#options.path);
    }
  }

  write(chunk: Uint8Array): Promise<void> | void {
    if (this.#patience.isExhausted) return this.#writeBehind(chunk);
    try {
      this.#patience.watch(() => {
        for (let at = 0; at < chunk.length;) at += this.#file.writeSync(chunk.subarray(at, at + WRITE_PIECE));
      });
    } catch (error) {
      throw osError(error, this.#options.path);
    }
  }

  /** Copies the chunk, which is the caller's, and writes the copy in the background. */
  #writeBehind(chunk: Uint8Array): Promise<void> {
    const buffer = chunk.length <= frameBuffers.size ? frameBuffers.take() : new Uint8Array(chunk.length);
    buffer.set(chunk);
    const copy = buffer.subarray(0, chunk.length);
    this.#busy = (async () => {
      try {
        for (let at = 0; at < copy.length;) at += await this.#file.write(copy.subarray(at, at + WRITE_PIECE));
      } catch (error) {
        throw osError(error, this.#options.path);
      } finally {
        this.#busy = null;
        if (buffer.length === frameBuffers.size) frameBuffers.give(buffer);
      }
    })();
    return this.#busy;
  }

  async commit(attributes: FileAttributes = {}): Promise<void> {
    const { part, target, path, flushFolder, move, setMode } = this.#options;
    const { modified = null, mode = null } = attributes;
    try {
      if (modified !== null) await this.#setTime(fileTime(modified));
      if (mode !== null && Deno.build.os !== "windows") setMode(mode);
      if (flushFolder) await this.#file.sync();
      this.#close();
      await move(part, target.path);
      await flushFolder?.();
      this.#letGo();
    } catch (error) {
      throw osError(error, path);
    }
  }

  #setTime(modified: number): Promise<void> {
    const now = Date.now() / 1000;
    return this.#options.patience.call(
      () => this.#file.utimeSync(now, modified),
      () => this.#file.utime(now, modified),
    );
  }

  async abort(options: { readonly keep?: boolean } = {}): Promise<void> {
    // A write that is under way ends first: its descriptor must not be closed beneath it.
    await this.#busy?.catch(() => {});
    // Removed while it is locked: whoever gets the lock next must not find it.
    if (!this.#gone && !options.keep) await Deno.remove(this.#options.part).catch(() => {});
    this.#close();
    this.#letGo();
  }

  #letGo(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#options.target[Symbol.dispose]();
    this.#options.ended();
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }
}
