import type { Room } from "../base/arena.ts";

/** Keepalive of TCP (tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). */
export interface KeepAlive {
  /** Seconds of silence before the first probe. */
  readonly idle: number;
  /** Seconds between probes. */
  readonly interval: number;
  /** Unanswered probes before the connection is given up. */
  readonly count: number;
}

/** The ends of a TCP connection, as the runtime names them. */
export interface SocketEnds {
  readonly localAddr: { readonly hostname: string; readonly port: number };
  readonly remoteAddr: { readonly hostname: string; readonly port: number };
}

/** One socket of the runtime's, by its descriptor. Not to be used once the runtime has closed it. */
export interface NativeSocket {
  /** Answers whether the kernel took it. */
  setKeepAlive(keepAlive: KeepAlive): boolean;
  /** Ends the connection at once with RST. */
  reset(): void;
  /**
   * Hands bytes of an open file to the socket without their passing through this process (sendfile(2)); answers how many
   * it took, waiting for room; 0 at the end of the file. Throws an Error once the connection is gone.
   */
  sendFile(file: number, offset: number, length: number): Promise<number>;
  /** Chooses the congestion control (tcp(7): TCP_CONGESTION); answers whether the kernel has it and allows it. */
  setCongestionControl(name: string): boolean;
  /** Whether the peer has closed the connection, or it broke, whatever of it was not read yet (tcp(7): TCP_INFO). */
  isGone(): boolean;
  /** Holds incomplete segments back, or lets them go (tcp(7): TCP_CORK). */
  cork(on: boolean): void;
  /** Nothing more will be asked of this socket. */
  release(): void;
  /** Ends reads and writes that are under way (shutdown(2)); closing alone leaves a blocked write waiting. */
  shutdown(): void;
}

/** What the runtime does not offer for sockets. */
export interface Sockets {
  /** Null where the descriptor can't be found. */
  find(ends: SocketEnds): NativeSocket | null;
}

/** One name in a folder: as the file system has it, in bytes. */
export type RawName = Uint8Array;

/** What is known of an object of a folder. */
export interface RawInfo {
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970-01-01T00:00Z. */
  readonly modified: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface RawFile extends RawInfo {
  /** Null where it is no regular file, or has more bytes than the limit. */
  readonly content: Uint8Array | null;
}

export interface NewRawFile {
  readonly content: Uint8Array;
  /** Milliseconds since 1970-01-01T00:00Z; null: now. */
  readonly modified: number | null;
  /** Permission bits; null: as the system makes them. */
  readonly mode: number | null;
}

export interface FileIdentity {
  readonly text: string;
  /** When it last changed, in milliseconds since 1970-01-01T00:00Z. */
  readonly changed: number;
}

/** File system calls that the runtime does not offer. Failures are thrown as Errors with a `code` such as "ENOENT". */
export interface Descriptors {
  /** Opens a folder by path, only to hold it (O_PATH). */
  holdRoot(path: string): number;
  /**
   * Opens what `path` names below the folder `root` and nothing outside it (openat2 with RESOLVE_BENEATH). Without `links`,
   * a symbolic link anywhere in it is ELOOP (RESOLVE_NO_SYMLINKS).
   */
  holdBeneath(root: number, path: string, options?: { readonly links: boolean }): number;
  /** Opens for reading what a held descriptor stands for; a folder's names then come from `names`. */
  openFolder(held: number): number;
  /** The next batch of names of an open folder, `.` and `..` left out; empty at the end. */
  names(folder: number): RawName[];
  close(descriptor: number): void;
  /** What a name of a held folder stands for; a symbolic link is not followed. */
  describe(folder: number, name: string): RawInfo;
  /** Reads a regular file of a held folder whole, unless it has more than `limit` bytes. What is no regular file is not opened. */
  readFile(folder: number, name: string, limit: number, room: Room): RawFile;
  /**
   * Creates a file in a held folder, locks it (flock(2)), and writes it whole; EEXIST where the name is taken. Answers its
   * descriptor, still open, or leaves nothing behind.
   */
  createFile(folder: number, name: string, file: NewRawFile): number;
  /** Renames within a held folder, replacing what has that name. */
  renameWithin(folder: number, from: string, to: string): void;
  /** Flushes one file (fsync(2)). */
  flush(descriptor: number): Promise<void>;
  /** Flushes all that is written so far to the file system that `held` lies on (syncfs(2)). */
  flushAll(held: number): Promise<void>;
  /** A path by which the runtime reaches a held descriptor. */
  pathOf(descriptor: number): string;
  /** Opens for reading what a held descriptor stands for, a regular file. */
  openFile(held: number): number;
  /** Which file it is and in which state: another one after every change of its content that the system dates. */
  identity(descriptor: number): FileIdentity;
  /** Renames, failing with EEXIST rather than replacing anything. */
  renameNoReplace(from: string, to: string): void;
}

/** The C library's heap, which holds the runtime's buffers. */
export interface Heap {
  /** Has large blocks go back to the system as soon as they are freed, for the whole process. */
  returnLargeBlocks(): void;
  /** Gives freed pages back to the system (malloc_trim(3)); takes some milliseconds. */
  trim(): void;
}

/** What the platform adds to the runtime; null: not there, and the portable way is taken. */
export interface Native {
  readonly name: string;
  readonly sockets: Sockets | null;
  readonly descriptors: Descriptors | null;
  readonly heap: Heap | null;
}
