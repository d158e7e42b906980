import { closeSync, constants, fstatSync, openSync, read, readSync, type Stats } from "node:fs";
import { FshError } from "../base/errors.ts";

/** What is needed of a file to read it; the runtime's own `FsFile` is one. */
export type RegularFile = Pick<Deno.FsFile, "read" | "readSync" | "seek" | "seekSync" | "close">;

/** What is known of an open file. */
export type FileFacts = Pick<
  Deno.FileInfo,
  "isFile" | "isDirectory" | "isSymlink" | "size" | "mtime" | "mode" | "nlink"
>;

/** @throws {FshError} IS_DIRECTORY, NOT_REGULAR */
export function refuseAllButFiles(info: Pick<FileFacts, "isDirectory" | "isFile">): void {
  if (info.isDirectory) throw new FshError("IS_DIRECTORY");
  if (!info.isFile) throw new FshError("NOT_REGULAR");
}

/**
 * A file opened by its path so that neither a FIFO nor a symbolic link put there meanwhile does any harm: opening waits
 * for nobody (open(2): O_NONBLOCK), follows nothing (O_NOFOLLOW), and what turns out to be no regular file is closed
 * unread. The runtime's own call has neither flag.
 */
export class WatchfulFile implements RegularFile {
  readonly info: FileFacts;
  readonly #descriptor: number;
  #at = 0;

  /** @throws {FshError} IS_DIRECTORY, NOT_REGULAR, and what the system throws */
  constructor(path: string) {
    // Windows has neither.
    const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants;
    this.#descriptor = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    try {
      this.info = factsOf(fstatSync(this.#descriptor));
      refuseAllButFiles(this.info);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  readSync(into: Uint8Array): number | null {
    return this.#took(readSync(this.#descriptor, into, 0, into.length, this.#at), into);
  }

  read(into: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, into, 0, into.length, this.#at, (error, bytes) => {
        if (error) reject(error);
        else resolve(this.#took(bytes, into));
      });
    });
  }

  /** The end of the file is null, as the runtime's files have it. */
  #took(bytes: number, into: Uint8Array): number | null {
    this.#at += bytes;
    return bytes === 0 && into.length > 0 ? null : bytes;
  }

  seek(offset: number | bigint): Promise<number> {
    return Promise.resolve(this.seekSync(offset));
  }

  /** From the file's start only. */
  seekSync(offset: number | bigint): number {
    return this.#at = Number(offset);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function factsOf(stats: Stats): FileFacts {
  return {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    isSymlink: false,
    size: stats.size,
    mtime: stats.mtime,
    mode: Deno.build.os === "windows" ? null : stats.mode,
    nlink: stats.nlink,
  };
}
