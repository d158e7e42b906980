import { equalBytes } from "../base/bytes.ts";
import type {
  Descriptors,
  FileIdentity,
  Native,
  NativeSocket,
  NewRawFile,
  RawFile,
  RawInfo,
  RawName,
  Room,
  SocketEnds,
  Sockets,
} from "./native.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64.
const IPPROTO_TCP = 6; // netinet/in.h
const SOL_SOCKET = 1; // asm-generic/socket.h
const SO_RCVLOWAT = 18;
const TCP_CONGESTION = 13;
const TCP_CORK = 3;
const TCP_KEEPIDLE = 4; // netinet/tcp.h
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const AF_UNSPEC = 0; // linux/socket.h
const AF_INET = 2;
const SHUT_RDWR = 2; // sys/socket.h
const AT_FDCWD = -100; // fcntl.h
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const O_RDONLY = 0;
/** asm-generic/fcntl.h has O_DIRECTORY as 0o200000, arm64 overrides it. */
const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const SYS_OPENAT2 = 437n; // the same on every architecture
const RESOLVE_NO_MAGICLINKS = 0x02n; // linux/openat2.h
const RESOLVE_BENEATH = 0x08n;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100; // linux/fcntl.h
const STATX_BASIC_STATS = 0x7ff; // linux/stat.h
const S_IFMT = 0o170000;
const FILE_TYPES: Readonly<Record<number, RawInfo["type"]>> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "symlink",
};
const O_NONBLOCK = 0o4000;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const LOCK_EX = 2; // sys/file.h
const LOCK_NB = 4;
const UTIME_NOW = (1n << 30n) - 1n; // sys/stat.h
/** asm-generic/fcntl.h has O_NOFOLLOW as 0o400000, arm64 overrides it. */
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const RENAME_NOREPLACE = 1; // linux/fs.h
const EAGAIN = 11;
const ECONNRESET = 104;
const M_MMAP_THRESHOLD = -3; // malloc.h
/** Blocks from this many bytes on are mapped one by one. Unset, the threshold climbs to the largest block ever freed. */
const LARGE_BLOCK = 256 * 1024;

/** struct open_how (openat2(2)): u64 flags, u64 mode, u64 resolve. */
const OPEN_HOW = new Uint8Array(
  BigUint64Array.of(BigInt(O_PATH | O_CLOEXEC), 0n, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS).buffer,
);

/** errno.h names of the numbers that callers tell apart. */
const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  17: "EEXIST",
  18: "EXDEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  28: "ENOSPC",
  30: "EROFS",
  36: "ENAMETOOLONG",
  39: "ENOTEMPTY",
  38: "ENOSYS",
  40: "ELOOP",
  104: "ECONNRESET",
};

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  syscall: { parameters: ["i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32", nonblocking: true },
  syncfs: { parameters: ["i32"], result: "i32", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  sendfile: { parameters: ["i32", "i32", "buffer", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The Linux additions by way of the C library. Throws where that can't be had (another libc, no FFI permission). */
export function loadLinux(): Native {
  const libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const descriptors = new LinuxDescriptors(libc);
  return {
    name: "linux",
    sockets: new LinuxSockets(libc),
    descriptors: descriptors.works() ? descriptors : null,
    heap: {
      returnLargeBlocks: () => void libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK),
      trim: () => void libc.malloc_trim(0n),
    },
  };
}

function systemError(call: string, number: number): Error {
  const code = ERRNO[number] ?? `errno ${number}`;
  return Object.assign(new Error(`${call}: ${code}`), { code });
}

function errno(libc: Libc): number {
  const place = libc.__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}

/** Names for the calls that take one or two, made anew for each call; PATH_MAX of linux/limits.h is 4096. */
const scratch = [new Uint8Array(3 * 4097), new Uint8Array(3 * 4097)] as const;
const encoder = new TextEncoder();

/** A C string, good until the next one is made in the same `place`. */
function cString(text: string, place: 0 | 1 = 0): Uint8Array<ArrayBuffer> {
  const into = scratch[place];
  if (text.length > 4096) throw Object.assign(new Error("ENAMETOOLONG"), { code: "ENAMETOOLONG" });
  into[encoder.encodeInto(text, into).written] = 0;
  return into;
}

class LinuxSockets implements Sockets {
  readonly #libc: Libc;
  readonly #address = new Uint8Array(128);
  readonly #addressLength = new Uint32Array(1);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** The runtime does not tell the descriptor, so look for the one with these ends. */
  find(ends: SocketEnds): NativeSocket | null {
    // A new socket mostly has the number just below the next free one.
    const next = this.#libc.dup(0);
    if (next >= 0) this.#libc.close(next);
    for (let fd = next - 1; fd > 2 && fd > next - 8; fd--) if (this.#matches(fd, ends)) return this.#socket(fd);
    try {
      for (const entry of Deno.readDirSync("/proc/self/fd")) {
        const fd = Number(entry.name);
        if (fd > 2 && this.#matches(fd, ends)) return this.#socket(fd);
      }
    } catch {
      // No /proc: the socket stays as the system made it.
    }
    return null;
  }

  #socket(fd: number): NativeSocket {
    const sender = new FileSender(this.#libc, fd);
    const setBytes = (level: number, option: number, value: Uint8Array<ArrayBuffer>) =>
      this.#libc.setsockopt(fd, level, option, value, value.length) === 0;
    const set = (level: number, option: number, values: number[]) =>
      setBytes(level, option, new Uint8Array(Int32Array.from(values).buffer));
    return {
      setKeepAlive: ({ idle, interval, count }) =>
        set(IPPROTO_TCP, TCP_KEEPIDLE, [idle]) && set(IPPROTO_TCP, TCP_KEEPINTVL, [interval]) &&
        set(IPPROTO_TCP, TCP_KEEPCNT, [count]),
      reset: () => {
        // Dissolves the connection (connect(2)). SO_LINGER would be too late: the runtime sends FIN before it closes.
        const nowhere = new Uint8Array(Uint16Array.of(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0).buffer);
        this.#libc.connect(fd, nowhere, nowhere.length);
      },
      sendFile: (file, offset, length) => sender.send(file, offset, length),
      release: () => sender.release(),
      setCongestionControl: (name) => setBytes(IPPROTO_TCP, TCP_CONGESTION, encoder.encode(name)),
      setReceiveLow: (bytes) => void set(SOL_SOCKET, SO_RCVLOWAT, [bytes]),
      cork: (on) => void set(IPPROTO_TCP, TCP_CORK, [on ? 1 : 0]),
      shutdown: () => void this.#libc.shutdown(fd, SHUT_RDWR),
    };
  }

  #matches(fd: number, ends: SocketEnds): boolean {
    return this.#endIs(this.#libc.getsockname, fd, ends.localAddr) &&
      this.#endIs(this.#libc.getpeername, fd, ends.remoteAddr);
  }

  #endIs(call: Libc["getsockname"], fd: number, end: SocketEnds["localAddr"]): boolean {
    this.#addressLength[0] = this.#address.length;
    if (call(fd, this.#address, new Uint8Array(this.#addressLength.buffer)) !== 0) return false;
    // struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)): u16 family, u16 port in network order, then the address,
    // in the latter behind a u32.
    const view = new DataView(this.#address.buffer);
    if (view.getUint16(2) !== end.port) return false;
    const bytes = addressBytes(end.hostname);
    const at = view.getUint16(0, true) === AF_INET ? 4 : 8;
    return equalBytes(this.#address.subarray(at, at + bytes.length), bytes);
  }
}

/** Milliseconds that a wait for room lasts before the connection is looked at again. */
const POLL_TIMEOUT = 1000;
const POLLOUT = 0x04; // poll.h
const POLLERR_HUP_NVAL = 0x38;

/** Sends files to one socket, by a descriptor of its own: the runtime may close the other one while a call is under way. */
class FileSender {
  readonly #libc: Libc;
  readonly #socket: number;
  #own: number | null = null;
  #busy = false;
  #released = false;
  readonly #offset = new BigInt64Array(1);
  /** struct pollfd (poll(2)): i32 descriptor, i16 events, i16 revents. */
  readonly #poll = new Int16Array(4);

  constructor(libc: Libc, socket: number) {
    this.#libc = libc;
    this.#socket = socket;
  }

  async send(file: number, offset: number, length: number): Promise<number> {
    if (this.#released) throw Object.assign(new Error("sendfile: ENOTCONN"), { code: "ENOTCONN" });
    this.#own ??= this.#libc.dup(this.#socket);
    this.#busy = true;
    try {
      for (;;) {
        this.#offset[0] = BigInt(offset);
        const place = new Uint8Array(this.#offset.buffer);
        const sent = Number(this.#libc.sendfile(this.#own, file, place, BigInt(length)));
        if (sent >= 0) return sent;
        const number = errno(this.#libc);
        if (number !== EAGAIN) throw systemError("sendfile", number);
        await this.#room(this.#own);
      }
    } finally {
      this.#busy = false;
      if (this.#released) this.#close();
    }
  }

  /** Waits until the socket takes more. */
  async #room(socket: number): Promise<void> {
    for (;;) {
      new Int32Array(this.#poll.buffer)[0] = socket;
      this.#poll[2] = POLLOUT;
      this.#poll[3] = 0;
      await this.#libc.poll(new Uint8Array(this.#poll.buffer), 1n, POLL_TIMEOUT);
      const events = this.#poll[3];
      if (this.#released || (events & POLLERR_HUP_NVAL)) throw systemError("poll", ECONNRESET);
      if (events & POLLOUT) return;
    }
  }

  release(): void {
    this.#released = true;
    if (!this.#busy) this.#close();
  }

  #close(): void {
    if (this.#own !== null) this.#libc.close(this.#own);
    this.#own = null;
  }
}

/** The bytes of a numeric IPv4 or IPv6 address, the latter as RFC 4291, section 2.2, writes it. */
function addressBytes(address: string): Uint8Array {
  const dotted = /[0-9]+(?:\.[0-9]+){3}$/.exec(address)?.[0];
  const four = dotted?.split(".").map(Number) ?? [];
  if (!address.includes(":")) return Uint8Array.from(four);
  const text = dotted ? address.slice(0, -dotted.length).replace(/([^:]):$/, "$1") : address.replace(/%.*$/, "");
  const groups = (part: string | undefined) =>
    (part ?? "").split(":").filter((group) => group !== "").flatMap((group) => {
      const value = parseInt(group, 16);
      return [value >> 8, value & 0xff];
    });
  const [before, after] = text.split("::");
  const [head, tail] = [groups(before), [...groups(after), ...four]];
  return Uint8Array.from([...head, ...new Array(Math.max(0, 16 - head.length - tail.length)).fill(0), ...tail]);
}

class LinuxDescriptors implements Descriptors {
  readonly #libc: Libc;
  readonly #names = new Uint8Array(64 * 1024);
  readonly #stat = new Uint8Array(256);
  readonly #times = new BigInt64Array(4);
  readonly #timeBytes = new Uint8Array(this.#times.buffer);
  readonly #statView = new DataView(this.#stat.buffer);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** openat2 came with Linux 5.6; a container may forbid it, or lack /proc. */
  works(): boolean {
    try {
      const root = this.holdRoot("/");
      const held = this.holdBeneath(root, ".");
      Deno.lstatSync(this.pathOf(held) + "/.");
      this.close(held);
      this.close(root);
      return true;
    } catch {
      return false;
    }
  }

  holdRoot(path: string): number {
    return this.#checked(this.#libc.open(cString(path), O_PATH | O_DIRECTORY | O_CLOEXEC), "open");
  }

  holdBeneath(root: number, path: string): number {
    for (let attempt = 0;; attempt++) {
      const fd = Number(
        this.#libc.syscall(
          SYS_OPENAT2,
          BigInt(root),
          cString(path),
          OPEN_HOW,
          BigInt(OPEN_HOW.length),
        ),
      );
      // EAGAIN: something was renamed meanwhile and the kernel could not be sure (openat2(2)).
      if (fd >= 0 || errno(this.#libc) !== EAGAIN || attempt === 100) return this.#checked(fd, "openat2");
    }
  }

  openFolder(held: number): number {
    return this.#checked(
      this.#libc.open(cString(this.pathOf(held)), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
      "open",
    );
  }

  openFile(held: number): number {
    return this.#checked(this.#libc.open(cString(this.pathOf(held)), O_RDONLY | O_CLOEXEC), "open");
  }

  identity(descriptor: number): FileIdentity {
    this.#checked(this.#libc.statx(descriptor, cString(""), AT_EMPTY_PATH, STATX_BASIC_STATS, this.#stat), "statx");
    // struct statx (statx(2)): u64 inode at 32, u64 size at 40, the times of the last change of the inode and of the
    // content at 96 and 112, u32 numbers of the device at 136 and 140.
    const view = this.#statView;
    const text = [32, 40, 96, 104, 112, 120, 136].map((at) => view.getBigUint64(at, true).toString(36)).join(" ");
    const changed = Math.max(view.getUint32(96, true), view.getUint32(112, true)) * 1000;
    return { text, changed };
  }

  names(folder: number): RawName[] {
    const bytes = this.#checked(
      Number(this.#libc.getdents64(folder, this.#names, BigInt(this.#names.length))),
      "getdents64",
    );
    const names: RawName[] = [];
    // struct linux_dirent64 (getdents(2)): u64 inode, i64 offset, u16 record length, u8 type, name and NUL.
    const view = new DataView(this.#names.buffer);
    for (let at = 0; at < bytes; at += view.getUint16(at + 16, true)) {
      const from = at + 19;
      const name = this.#names.slice(from, this.#names.indexOf(0, from));
      const dots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
      if (!dots) names.push(name);
    }
    // A batch of nothing but dots is not the end.
    return names.length === 0 && bytes > 0 ? this.names(folder) : names;
  }

  close(descriptor: number): void {
    this.#libc.close(descriptor);
  }

  describe(folder: number, name: string): RawInfo {
    const path = cString(name);
    this.#checked(this.#libc.statx(folder, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, this.#stat), "statx");
    // struct statx (statx(2)): u16 mode at 28, u64 size at 40, the time of the last modification at 112.
    const view = this.#statView;
    const mode = view.getUint16(28, true);
    return {
      type: FILE_TYPES[mode & S_IFMT] ?? "other",
      size: view.getUint32(40, true) + view.getUint32(44, true) * 2 ** 32,
      modified: (view.getUint32(112, true) + view.getInt32(116, true) * 2 ** 32) * 1000 +
        Math.floor(view.getUint32(120, true) / 1e6),
      mode: mode & 0o7777,
    };
  }

  readFile(folder: number, name: string, limit: number, room: Room): RawFile {
    const info = this.describe(folder, name);
    if (info.type !== "file" || info.size > limit) return { ...info, content: null };
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const file = this.#checked(this.#libc.openat(folder, cString(name), flags, 0), "openat");
    try {
      const content = room.take(info.size);
      let at = 0;
      for (let read = 1; read > 0 && at < content.length; at += read) {
        const rest = content.subarray(at);
        read = this.#checked(Number(this.#libc.read(file, rest, BigInt(rest.length))), "read");
      }
      return { ...info, size: at, content: content.subarray(0, at) };
    } finally {
      this.#libc.close(file);
    }
  }

  createFile(folder: number, name: string, { content, modified, mode }: NewRawFile): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const file = this.#checked(this.#libc.openat(folder, cString(name), flags, 0o666), "openat");
    try {
      // Whoever found it between these two calls has it locked and goes on with it: as if the name had been taken.
      if (this.#libc.flock(file, LOCK_EX | LOCK_NB) !== 0) throw Object.assign(new Error("flock"), { code: "EEXIST" });
      try {
        for (let at = 0; at < content.length;) {
          // Nothing here is in shared memory, which the type would allow.
          const rest = content.subarray(at) as Uint8Array<ArrayBuffer>;
          at += this.#checked(Number(this.#libc.write(file, rest, BigInt(rest.length))), "write");
        }
        if (modified !== null) this.#setTime(file, modified);
        if (mode !== null) this.#checked(this.#libc.fchmod(file, mode), "fchmod");
      } catch (error) {
        this.#libc.unlinkat(folder, cString(name), 0);
        throw error;
      }
      return file;
    } catch (error) {
      this.#libc.close(file);
      throw error;
    }
  }

  #setTime(file: number, modified: number): void {
    const seconds = Math.floor(modified / 1000);
    // struct timespec (utimensat(2)), of the access and of the modification: seconds and nanoseconds, 64 bits each.
    this.#times[1] = UTIME_NOW;
    this.#times[2] = BigInt(seconds);
    this.#times[3] = BigInt(Math.round((modified - seconds * 1000) * 1e6));
    this.#checked(this.#libc.futimens(file, this.#timeBytes), "futimens");
  }

  renameWithin(folder: number, from: string, to: string): void {
    this.#checked(this.#libc.renameat(folder, cString(from), folder, cString(to, 1)), "renameat");
  }

  async flush(descriptor: number): Promise<void> {
    if (await this.#libc.fsync(descriptor) !== 0) throw Object.assign(new Error("fsync: EIO"), { code: "EIO" });
  }

  async flushAll(held: number): Promise<void> {
    // A descriptor made with O_PATH is not good enough for it.
    const folder = this.openFolder(held);
    try {
      const failed = await this.#libc.syncfs(folder) !== 0;
      // errno belongs to the thread that made the call; what it was is lost.
      if (failed) throw Object.assign(new Error("syncfs: EIO"), { code: "EIO" });
    } finally {
      this.close(folder);
    }
  }

  pathOf(descriptor: number): string {
    return `/proc/self/fd/${descriptor}`;
  }

  renameNoReplace(from: string, to: string): void {
    this.#checked(
      this.#libc.renameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to, 1), RENAME_NOREPLACE),
      "renameat2",
    );
  }

  #checked(result: number, call: string): number {
    if (result >= 0) return result;
    throw systemError(call, errno(this.#libc));
  }
}
