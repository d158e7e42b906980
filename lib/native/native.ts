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

/** File system calls that the runtime does not offer. Failures are thrown as Errors with a `code` such as "ENOENT". */
export interface Descriptors {
  /** Opens a folder by path, only to hold it (O_PATH). */
  holdRoot(path: string): number;
  /** Opens what `path` names below the folder `root` and nothing outside it (openat2 with RESOLVE_BENEATH). */
  holdBeneath(root: number, path: string): number;
  /** Opens for reading what a held descriptor stands for; a folder's names then come from `names`. */
  openFolder(held: number): number;
  /** The next batch of names of an open folder, `.` and `..` left out; empty at the end. */
  names(folder: number): RawName[];
  close(descriptor: number): void;
  /** A path by which the runtime reaches a held descriptor. */
  pathOf(descriptor: number): string;
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
