import { encodeUtf8, equalBytes } from "../base/bytes.ts";
import type { Descriptors, Native, NativeSocket, RawName, SocketEnds, Sockets } from "./native.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64.
const IPPROTO_TCP = 6; // netinet/in.h
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
const RENAME_NOREPLACE = 1; // linux/fs.h
const ENOSYS = 38;
const M_MMAP_THRESHOLD = -3; // malloc.h
/** Blocks from this many bytes on are mapped one by one. Unset, the threshold climbs to the largest block ever freed. */
const LARGE_BLOCK = 256 * 1024;

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
  40: "ELOOP",
};

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  syscall: { parameters: ["i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
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

function errno(libc: Libc): number {
  const place = libc.__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return encodeUtf8(text + "\0");
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
    const set = (level: number, option: number, values: number[]) => {
      const value = new Uint8Array(Int32Array.from(values).buffer);
      return this.#libc.setsockopt(fd, level, option, value, value.length) === 0;
    };
    return {
      setKeepAlive: ({ idle, interval, count }) =>
        set(IPPROTO_TCP, TCP_KEEPIDLE, [idle]) && set(IPPROTO_TCP, TCP_KEEPINTVL, [interval]) &&
        set(IPPROTO_TCP, TCP_KEEPCNT, [count]),
      reset: () => {
        // Dissolves the connection (connect(2)). SO_LINGER would be too late: the runtime sends FIN before it closes.
        const nowhere = new Uint8Array(Uint16Array.of(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0).buffer);
        this.#libc.connect(fd, nowhere, nowhere.length);
      },
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
    // struct open_how (openat2(2)): u64 flags, u64 mode, u64 resolve.
    const how = BigUint64Array.of(BigInt(O_PATH | O_CLOEXEC), 0n, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    for (let attempt = 0;; attempt++) {
      const fd = Number(
        this.#libc.syscall(
          SYS_OPENAT2,
          BigInt(root),
          cString(path),
          new Uint8Array(how.buffer),
          BigInt(how.byteLength),
        ),
      );
      // EAGAIN: something was renamed meanwhile and the kernel could not be sure (openat2(2)).
      if (fd >= 0 || errno(this.#libc) !== 11 || attempt === 100) return this.#checked(fd, "openat2");
    }
  }

  openFolder(held: number): number {
    return this.#checked(
      this.#libc.open(cString(this.pathOf(held)), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
      "open",
    );
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

  pathOf(descriptor: number): string {
    return `/proc/self/fd/${descriptor}`;
  }

  renameNoReplace(from: string, to: string): void {
    this.#checked(
      this.#libc.renameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to), RENAME_NOREPLACE),
      "renameat2",
    );
  }

  #checked(result: number, call: string): number {
    if (result >= 0) return result;
    const number = errno(this.#libc);
    const code = ERRNO[number] ?? (number === ENOSYS ? "ENOSYS" : `errno ${number}`);
    throw Object.assign(new Error(`${call}: ${code}`), { code });
  }
}
