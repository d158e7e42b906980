import type { Room } from "../base/arena.ts";
import type { GrantedOptions, SocketTuning } from "./socket_tuning.ts";
import type { TcpInfo } from "./tcp_info.ts";

/** The ends of a TCP connection, as the runtime names them. */
export interface SocketEnds {
  readonly localAddr: { readonly hostname: string; readonly port: number };
  readonly remoteAddr: { readonly hostname: string; readonly port: number };
}

/** One socket of the runtime's, by its descriptor. Not to be used once the runtime has closed it. */
export interface NativeSocket {
  /** Sets what is asked for; what the kernel made of it, `granted` tells. */
  tune(tuning: SocketTuning): void;
  /** What the kernel has of each option now; null: the socket is gone. */
  granted(): GrantedOptions | null;
  /** How the connection does (tcp(7): TCP_INFO); null: it is gone, or the kernel is older than Linux 5.4. */
  info(): TcpInfo | null;
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

/** A listening socket of the runtime's. Not to be used once the runtime has closed it. */
export interface NativeListener {
  /** Sets the buffers, for all that will be accepted, and the backlog. */
  tune(tuning: SocketTuning): void;
  granted(): GrantedOptions | null;
}

/** What the runtime does not offer for sockets. */
export interface Sockets {
  /** What the kernel would grant a connection, tried out on a socket that nobody uses; null: that can't be had. */
  trial(tuning: SocketTuning): GrantedOptions | null;
  /** All of this process that listen there: several, where they share a port. */
  findListeners(at: SocketEnds["localAddr"]): NativeListener[];
  /** Null where the descriptor can't be found. */
  find(ends: SocketEnds): NativeSocket | null;
}

/** One name in a folder. */
export interface RawName {
  /** As the file system has it, in bytes. */
  readonly name: Uint8Array;
  /** Null: the file system says so only of what is looked at. */
  readonly isFolder: boolean | null;
}

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

/** A name of a folder, and the one that it becomes. */
export interface NewName {
  readonly from: string;
  readonly to: string;
  readonly noReplace?: boolean | undefined;
}

export interface FileIdentity {
  readonly text: string;
  /** When it last changed, in milliseconds since 1970-01-01T00:00Z. */
  readonly changed: number;
}

/** What a path may lead through. */
export interface Confinement {
  /** Symbolic links that stay below the root; otherwise one is ELOOP (RESOLVE_NO_SYMLINKS). */
  readonly links: boolean;
  /** Mount points; otherwise one is EXDEV (RESOLVE_NO_XDEV). */
  readonly mounts: boolean;
}

/** File system calls that the runtime does not offer. Failures are thrown as Errors with a `code` such as "ENOENT". */
export interface Descriptors {
  /** Opens a folder by path, only to hold it (O_PATH). */
  holdRoot(path: string): number;
  /** Opens what `path` names below the folder `root`, and nothing outside it: EXDEV (openat2 with RESOLVE_BENEATH). */
  holdBeneath(root: number, path: string, options?: Confinement): number;
  /** Opens for reading what a held descriptor stands for; a folder's names then come from `names`. */
  openFolder(held: number): number;
  /** The next batch of names of an open folder, `.` and `..` left out; empty at the end. */
  names(folder: number): RawName[];
  close(descriptor: number): void;
  /** What a name of a held folder stands for; a symbolic link is not followed. */
  describe(folder: number, name: string): RawInfo;
  /** Reads a regular file of a held folder whole, unless it has more than `limit` bytes. What is no regular file is not read. */
  readFile(folder: number, name: string, limit: number, room: Room): RawFile;
  /**
   * Creates a file in a held folder, locks it (flock(2)), and writes it whole; EEXIST where the name is taken. Answers its
   * descriptor, still open, or leaves nothing behind.
   */
  createFile(folder: number, name: string, file: NewRawFile): number;
  /** Renames within a held folder, replacing what has that name; with `noReplace` that is EEXIST. */
  renameWithin(folder: number, names: NewName): void;
  /** Flushes one file (fsync(2)). */
  flush(descriptor: number): Promise<void>;
  /** Flushes all that is written so far to the file system that `held` lies on (syncfs(2)). */
  flushAll(held: number): Promise<void>;
  /** A path by which the runtime reaches a held descriptor. */
  pathOf(descriptor: number): string;
  /** Opens for reading what a held descriptor stands for, a regular file; EAGAIN rather than wait for anybody. */
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

/** A user of this machine, to run as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** All groups, the one above among them. */
  readonly groups: readonly number[];
}

/** What a process may do, and how it gives that up. */
export interface Privileges {
  /** By name, or by number where nobody has it as a name. A user that the system does not know needs a group. */
  find(user: string, group: string | null): Account | "no such user" | "no such group" | "no group";
  /**
   * Runs the whole process as somebody else from now on, without any way back; programs that it starts gain nothing by
   * setuid. Throws an Error, naming the call or what is left, and then nothing may be relied on: the process has to end.
   */
  become(account: Account): void;
  /** No core dumps of this process and of those that it starts (setrlimit(2)). */
  noCoreDumps(): void;
  /** Whether this process may use a path in these ways (access(2)). */
  may(path: string, ...what: readonly ("read" | "write" | "run")[]): boolean;
}

/** What the system allows this process. */
export interface Process {
  /** Descriptors that may be open at once (getrlimit(2): the soft RLIMIT_NOFILE); null: not known. */
  readonly mostDescriptors: number | null;
}

/** A socket of this process, as the system sees it. */
export interface SocketRow {
  readonly protocol: "tcp" | "udp";
  /** In the words of ss(8): LISTEN, ESTAB, … */
  readonly state: string;
  /** `address:port`. */
  readonly local: string;
  /** Null: it is connected to nobody. */
  readonly remote: string | null;
  /** Bytes that were not acknowledged, and such that were not read; of a listener: connections that nobody has accepted. */
  readonly sendQueue: number;
  readonly receiveQueue: number;
  readonly timer: {
    readonly name: "retransmit" | "keepalive" | "time-wait" | "window-probe" | "other";
    /** Until it goes off. */
    readonly seconds: number;
    /** How often it went off in vain. */
    readonly count: number;
  } | null;
}

/** Looks up the sockets of this process. */
export interface SocketTable {
  /** Those of TCP and UDP; a closed one that only waits (TIME-WAIT) belongs to nobody. */
  list(): Promise<SocketRow[]>;
}

/** Who is at the other end of a Unix socket (unix(7): SO_PEERCRED), as it was when they connected. */
export interface LocalPeer {
  readonly pid: number;
  readonly uid: number;
}

/** Tells who connects to Unix sockets. */
export interface LocalPeers {
  /**
   * For the listener that was bound to `path`: to be called after each accept, tells whose connection that is; null where
   * that can't be told.
   */
  watch(path: string): () => LocalPeer | null;
}

/** What the platform adds to the runtime; null: not there, and the portable way is taken. */
export interface Native {
  readonly name: string;
  readonly sockets: Sockets | null;
  readonly descriptors: Descriptors | null;
  /** Why there are no descriptors; null: there are. */
  readonly unconfined: string | null;
  readonly heap: Heap | null;
  readonly privileges: Privileges | null;
  readonly process: Process | null;
  readonly socketTable: SocketTable | null;
  readonly localPeers: LocalPeers | null;
}
