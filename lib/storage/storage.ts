import type { FileRegion } from "../base/file_region.ts";
import type { Room } from "../base/arena.ts";
import type { FshError } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
import type { SafePath } from "../base/virtual_path.ts";

export type StoredType = "file" | "directory" | "symlink" | "other";

/** What is known of one object. The same shape as an entry of the wire, so that it needs no copying. */
export interface Stored {
  readonly name: string;
  readonly type: StoredType;
  /** Bytes; 0 for anything but a file. */
  readonly size: number;
  /** Milliseconds since 1970-01-01T00:00Z. */
  readonly modified: number | null;
  /** Permission bits; null where the platform has none. */
  readonly mode: number | null;
}

/** Part of a folder's listing. */
export interface Page {
  readonly entries: readonly Stored[];
  /** Names left out because they are not Unicode. */
  readonly skipped: number;
}

/** Most bytes that a region has. */
export const MAX_REGION = 1024 * 1024;

/** A file open for reading. */
export interface FileReader {
  /** As it was when opened. */
  readonly info: Stored;
  /**
   * Fills some of `buffer` from where the last read ended; null at the end of the file or of the asked length. Out of a
   * cache it may be there at once; what fails at once is thrown.
   */
  read(buffer: Uint8Array): Soon<number | null>;
  /**
   * Where the storage can: the next bytes, `most` at the most, as a region instead of a `read`; null where they have to be
   * read. Only regions whose CRC-32 is known from an earlier time, unless `unchecked`.
   */
  region?(most: number, options: { readonly unchecked: boolean }): FileRegion | null;
  /** Tells the CRC-32 of what the last `read` gave, for a later time. */
  learn?(crc: number): void;
  /** What was sent of this file did not arrive well: whatever was learned of it is not to be trusted. */
  forget?(): void;
  /** Goes to `offset` of the file, reading from there to the end. */
  seek(offset: number): Promise<void>;
  close(): void;
}

/**
 * A file being written, invisible until `commit`. Exactly one of `commit` and `abort` ends it; after a failed `write`
 * or `commit` only `abort` is left.
 */
export interface FileWriter {
  /** Bytes that an earlier transfer left and this one continues. */
  readonly offset: number;
  /**
   * Hands over the bytes before `offset`, in order, so that they can be compared with the source, `most` at once, by
   * default some 1 MiB; each chunk is good until `take` is done with it. May be called again.
   */
  replay(take: (chunk: Uint8Array) => Promise<void> | void, options?: { readonly most?: number }): Promise<void>;
  /** Throws away what an earlier transfer left: `offset` is 0 from then on. Only before the first `write`. */
  restart(): Promise<void>;
  /**
   * Appends. With a promise as its answer the writer is busy until that resolves, and must not be called before; the
   * chunk itself is free again as soon as the call returns.
   */
  write(chunk: Uint8Array): Promise<void> | void;
  /** Makes the file durable and visible under its name, in that order; only then resolves. */
  commit(attributes?: FileAttributes): Promise<void>;
  /**
   * Leaves the target as it was. With `keep` what was written stays for a later writer of the same part, otherwise
   * nothing does. Never rejects.
   */
  abort(options?: { readonly keep?: boolean }): Promise<void>;
}

export interface FileAttributes {
  readonly modified?: number | null;
  readonly mode?: number | null;
}

export interface ReadOptions {
  /** Bytes to pass over; beyond the end is BAD_OFFSET. */
  readonly offset?: number;
  /** Bytes to read at the most; null: to the end. */
  readonly length?: number | null;
  /** Read a file that says it has no bytes until it really ends. */
  readonly toEnd?: boolean;
}

export interface WriteOptions {
  /** Refuse with EXISTS, at the start or at the commit, rather than replace. */
  readonly noReplace?: boolean;
  /** Bytes that are expected, where that is known. */
  readonly size?: number;
  /** Makes the unfinished file one that can be found again; one writer at a time, others get LOCKED. */
  readonly part?: PartOptions | undefined;
}

export interface PartOptions {
  /** Who is writing: the same owner and path mean the same part. */
  readonly owner: string;
  /** Go on behind what is there, rather than begin anew. */
  readonly continue: boolean;
}

/** A small file, whole. */
export interface SmallFile {
  readonly info: Stored;
  /** All of it; null where it has more bytes than the limit. */
  readonly content: Uint8Array | null;
}

/** A small file to be written. */
export interface NewFile extends FileAttributes {
  readonly path: SafePath;
  readonly content: Uint8Array;
}

/**
 * A tree of files. Paths are SafePaths, which only the checks of `base/virtual_path.ts` make. Failures are FshErrors
 * whose subject is the virtual path: NOT_FOUND, NOT_PERMITTED, IS_DIRECTORY, NOT_DIRECTORY, NOT_REGULAR, EXISTS,
 * NOT_EMPTY, NO_SPACE, NAME_TOO_LONG, BAD_OFFSET, INTO_ITSELF and STORAGE_FAILED.
 */
export interface Storage {
  /** Names the tree among others of its kind: the folder's path. For this side only. */
  readonly identity: string;
  /** The names of a folder, in no order, page by page; the listing of a huge folder never stands in memory whole. */
  list(path: SafePath): AsyncIterable<Page>;
  /** What the path stands for, symbolic links followed as long as they stay inside. */
  stat(path: SafePath): Promise<Stored>;
  openRead(path: SafePath, options?: ReadOptions): Promise<FileReader>;
  openWrite(path: SafePath, options?: WriteOptions): Promise<FileWriter>;
  /**
   * Reads whole small files, one after the other in the order of `paths`, cheaper than by `openRead`. What can't be read
   * is answered by its error. A file of more than `limit` bytes comes without content. Their contents are in memory that
   * `room` gives.
   */
  readSmall(paths: Iterable<SafePath>, limit: number, room: Room): AsyncIterable<SmallFile | FshError>;
  /**
   * Writes whole small files together, cheaper than by `openWrite`. Each is all there and durable under its name, or as
   * it was; answers, for each, null or why not.
   */
  writeSmall(files: readonly NewFile[], options?: { readonly noReplace?: boolean }): Promise<(FshError | null)[]>;
  mkdir(path: SafePath): Promise<void>;
  /** What a symbolic link says; NOT_LINK for anything else. */
  readLink(path: SafePath): Promise<string>;
  /**
   * Makes a symbolic link, or replaces one; EXISTS where anything else has the name, or with `noReplace` a link has.
   * UNSUPPORTED where there are none.
   */
  symlink(path: SafePath, target: string, options?: Pick<WriteOptions, "noReplace">): Promise<void>;
  /** Sets time and permission bits of what is there, where they are given. */
  touch(path: SafePath, attributes: FileAttributes): Promise<void>;
  /** Removes a file, a symbolic link itself, or an empty folder. */
  remove(path: SafePath): Promise<void>;
  rename(from: SafePath, to: SafePath, options?: WriteOptions): Promise<void>;
  /**
   * Where the path really lies: the path without symbolic links on the way; with `follow`, one at its end is followed too.
   * What does not exist lies in the deepest folder on the way that does.
   */
  resolve(path: SafePath, options: { readonly follow: boolean }): Soon<SafePath>;
  /**
   * The same tree, where no symbolic link is followed at all: one on the way, or at the end where its target is asked for,
   * is NOT_FOUND. With a path of `resolve` it does what was looked at, even if a link was put there meanwhile.
   */
  strict(): Storage;
  /** Where the storage can tell: bytes that it still has room for where `path` is or would be. */
  readonly free?: ((path: SafePath) => Promise<number>) | undefined;
  /** Lets go of what the storage holds. */
  close(): void;
}
