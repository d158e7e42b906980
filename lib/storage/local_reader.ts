import type { FileRegion } from "../base/file_region.ts";
import { FshError } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
import type { Descriptors, FileIdentity } from "../native/native.ts";
import { blockAt, type KnownSums } from "./known_sums.ts";
import { osError } from "./os_error.ts";
import { Patience } from "./patience.ts";
import type { RegularFile } from "./regular_file.ts";
import { type FileReader, MAX_REGION, type ReadOptions, type Stored } from "./storage.ts";

/**
 * A read that takes longer, in milliseconds, should be in the background. Out of the page cache a megabyte takes a tenth of
 * one; handing it to another thread and back takes longer.
 */
const SLOW_READ = 5;

/**
 * What is learned of a file counts only if it had been at rest for so many milliseconds: the times of a file system are
 * a little coarse, and two changes within one tick look like one.
 */
const AT_REST = 2_000;

/** For sending a file without reading it. */
export interface Direct {
  readonly system: Descriptors;
  /** The reader closes it. */
  readonly descriptor: number;
  readonly sums: KnownSums;
}

export interface LocalReaderOptions extends ReadOptions {
  /** For errors. */
  readonly path: string;
  readonly direct?: Direct | undefined;
}

/** Reads a file of this machine from an offset on. */
export class LocalReader implements FileReader {
  readonly info: Stored;
  readonly #path: string;
  readonly #file: RegularFile;
  readonly #direct: Direct | undefined;
  readonly #identity: FileIdentity | undefined;
  #at: number;
  #left: number;
  /** The file stands elsewhere than at `#at`, as regions move only that. */
  #astray = false;
  #lastRead = 0;
  readonly #patience = new Patience(SLOW_READ);

  private constructor(
    file: RegularFile,
    info: Stored,
    start: { at: number; left: number },
    options: LocalReaderOptions,
  ) {
    this.#file = file;
    this.info = info;
    this.#at = start.at;
    this.#left = start.left;
    this.#path = options.path;
    this.#direct = options.direct;
    this.#identity = this.#direct?.system.identity(this.#direct.descriptor);
  }

  static async start(file: RegularFile, info: Stored, options: LocalReaderOptions): Promise<LocalReader> {
    const { offset = 0, length = null } = options;
    if (offset > info.size) throw new FshError("BAD_OFFSET", { detail: `${offset} of ${info.size} bytes` });
    if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
    // Files of /proc and their like say that they are empty, and are not.
    const rest = options.toEnd && info.size === 0 ? Infinity : info.size - offset;
    return new LocalReader(file, info, { at: offset, left: Math.min(length ?? Infinity, rest) }, options);
  }

  read(buffer: Uint8Array): Soon<number | null> {
    if (this.#left === 0) return null;
    try {
      if (this.#astray) this.#file.seekSync(this.#at, Deno.SeekMode.Start);
      this.#astray = false;
      const room = buffer.subarray(0, Math.min(this.#left, this.#toNextBlock));
      if (this.#patience.isExhausted) return this.#readBehind(room);
      const read = this.#patience.watch(() => this.#file.readSync(room));
      this.#advance(read ?? 0);
      return read;
    } catch (error) {
      throw osError(error, this.#path);
    }
  }

  /** Whatever was smaller before, from the next block on there may be whole ones again, to be known and sent unread. */
  get #toNextBlock(): number {
    return this.#direct ? MAX_REGION - this.#at % MAX_REGION : Infinity;
  }

  async #readBehind(room: Uint8Array): Promise<number | null> {
    try {
      const read = await this.#file.read(room);
      this.#advance(read ?? 0);
      return read;
    } catch (error) {
      throw osError(error, this.#path);
    }
  }

  #advance(bytes: number): void {
    this.#lastRead = bytes;
    this.#at += bytes;
    this.#left -= bytes;
  }

  region(most: number, options: { readonly unchecked: boolean }): FileRegion | null {
    const direct = this.#direct;
    const identity = this.#identity;
    if (!direct || !identity || this.#left <= 0 || this.#left === Infinity) return null;
    const offset = this.#at;
    const length = Math.min(most, this.#left, MAX_REGION);
    const block = blockAt(offset, length, this.info.size);
    const known = block === null ? undefined : direct.sums.of(identity.text).blocks.get(block);
    if (known === undefined && !options.unchecked) return null;
    if (direct.system.identity(direct.descriptor).text !== identity.text) return null;
    this.#astray = true;
    this.#advance(length);
    return { descriptor: direct.descriptor, offset, length, crc: known ?? null };
  }

  learn(crc: number): void {
    const direct = this.#direct;
    const identity = this.#identity;
    if (!direct || !identity || Date.now() - identity.changed < AT_REST) return;
    const block = blockAt(this.#at - this.#lastRead, this.#lastRead, this.info.size);
    if (block === null || direct.system.identity(direct.descriptor).text !== identity.text) return;
    direct.sums.learn(identity.text, block, crc);
  }

  forget(): void {
    if (this.#identity) this.#direct?.sums.forget(this.#identity.text);
  }

  async seek(offset: number): Promise<void> {
    try {
      await this.#file.seek(offset, Deno.SeekMode.Start);
      this.#astray = false;
      this.#at = offset;
      this.#left = Math.max(0, this.info.size - offset);
    } catch (error) {
      throw osError(error, this.#path);
    }
  }

  close(): void {
    this.#file.close();
    this.#direct?.system.close(this.#direct.descriptor);
  }
}
