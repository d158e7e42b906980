import type { Room } from "../base/arena.ts";
import { cString, EAGAIN, errno, type Libc, systemError } from "./libc.ts";
import type {
  Confinement,
  Descriptors,
  FileIdentity,
  NewName,
  NewRawFile,
  RawFile,
  RawInfo,
  RawName,
} from "./native.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64 where nothing else is said.
const AT_FDCWD = -100; // fcntl.h
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const O_RDONLY = 0;
/** asm-generic/fcntl.h has O_DIRECTORY as 0o200000, arm64 overrides it. */
const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const SYS_OPENAT2 = 437n; // the same on every architecture
const RESOLVE_NO_XDEV = 0x01n; // linux/openat2.h
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100; // linux/fcntl.h
const STATX_BASIC_STATS = 0x7ff; // linux/stat.h
const S_IFMT = 0o170000;
const DT_UNKNOWN = 0; // dirent.h
const DT_DIR = 4;
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

/** Of the type in a directory entry (readdir(3)). */
function isFolder(type: number | undefined): boolean | null {
  return type === DT_UNKNOWN ? null : type === DT_DIR;
}

/** struct open_how (openat2(2)): u64 flags, u64 mode, u64 resolve. */
function openHow(resolve: bigint): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigUint64Array.of(BigInt(O_PATH | O_CLOEXEC), 0n, resolve).buffer);
}
const WITH_LINKS = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
const WITHOUT_LINKS = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
/** By what may be on the way: without links or with, each without mounts or with. */
const WAYS = [WITHOUT_LINKS, WITH_LINKS].map((way) => [openHow(way | RESOLVE_NO_XDEV), openHow(way)] as const);

const EVERYWHERE: Confinement = { links: true, mounts: true };

function wayOf({ links, mounts }: Confinement): Uint8Array<ArrayBuffer> {
  const [one, other] = WAYS[links ? 1 : 0] as (typeof WAYS)[number];
  return mounts ? other : one;
}

export class LinuxDescriptors implements Descriptors {
  readonly #libc: Libc;
  /** As many as are looked up in a millisecond; a thousand listings at once each keep what came of one batch. */
  readonly #names = new Uint8Array(4 * 1024);
  readonly #stat = new Uint8Array(256);
  readonly #times = new BigInt64Array(4);
  readonly #timeBytes = new Uint8Array(this.#times.buffer);
  readonly #statView = new DataView(this.#stat.buffer);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** What is missing for these calls to work; null: nothing. */
  lacks(): string | null {
    try {
      const root = this.holdRoot("/");
      try {
        const held = this.holdBeneath(root, ".");
        try {
          return this.#reaches(held) ? null : "/proc/self/fd is missing: no proc file system is mounted on /proc";
        } finally {
          this.close(held);
        }
      } finally {
        this.close(root);
      }
    } catch (error) {
      // It came with Linux 5.6; a container's rules may forbid it.
      return `the kernel or the container refuses openat2 (${error instanceof Error ? error.message : error})`;
    }
  }

  /** Whether the runtime finds a held descriptor by its path, and not something else that has been put there. */
  #reaches(held: number): boolean {
    try {
      const [there, here] = [Deno.statSync(this.pathOf(held) + "/."), Deno.statSync("/")];
      return there.ino === here.ino && there.dev === here.dev;
    } catch {
      return false;
    }
  }

  holdRoot(path: string): number {
    return this.#checked(this.#libc.open(cString(path), O_PATH | O_DIRECTORY | O_CLOEXEC), "open");
  }

  holdBeneath(root: number, path: string, confinement = EVERYWHERE): number {
    const how = wayOf(confinement);
    for (let attempt = 0;; attempt++) {
      const fd = Number(
        this.#libc.syscall(
          SYS_OPENAT2,
          BigInt(root),
          cString(path),
          how,
          BigInt(how.length),
        ),
      );
      if (fd >= 0) return fd;
      // EAGAIN: something was renamed meanwhile and the kernel could not be sure (openat2(2)).
      const number = errno(this.#libc);
      if (number !== EAGAIN || attempt === 100) throw systemError("openat2", number);
    }
  }

  openFolder(held: number): number {
    return this.#checked(
      this.#libc.open(cString(this.pathOf(held)), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
      "open",
    );
  }

  openFile(held: number): number {
    const flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
    return this.#sure("open", () => this.#libc.open(cString(this.pathOf(held)), flags));
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
      if (!dots) names.push({ name, isFolder: isFolder(this.#names[at + 18]) });
    }
    // A batch of nothing but dots is not the end.
    return names.length === 0 && bytes > 0 ? this.names(folder) : names;
  }

  close(descriptor: number): void {
    this.#libc.close(descriptor);
  }

  describe(folder: number, name: string, flags = AT_SYMLINK_NOFOLLOW): RawInfo {
    this.#sure("statx", () => this.#libc.statx(folder, cString(name), flags, STATX_BASIC_STATS, this.#stat));
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
    const before = this.describe(folder, name);
    if (before.type !== "file" || before.size > limit) return { ...before, content: null };
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const file = this.#sure("openat", () => this.#libc.openat(folder, cString(name), flags, 0));
    try {
      // Something else may have got the name meanwhile.
      const info = this.describe(file, "", AT_EMPTY_PATH);
      if (info.type !== "file" || info.size > limit) return { ...info, content: null };
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
    const file = this.#sure("openat", () => this.#libc.openat(folder, cString(name), flags, 0o666));
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

  renameWithin(folder: number, { from, to, noReplace = false }: NewName): void {
    const flags = noReplace ? RENAME_NOREPLACE : 0;
    this.#sure("renameat2", () => this.#libc.renameat2(folder, cString(from), folder, cString(to, 1), flags));
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
    this.renameWithin(AT_FDCWD, { from, to, noReplace: true });
  }

  #checked(result: number, call: string): number {
    if (result >= 0) return result;
    throw systemError(call, errno(this.#libc));
  }

  /**
   * As `#checked`, for calls that never answer EAGAIN and do nothing where they fail: the runtime's own threads and
   * collector share errno's thread, and an EAGAIN of theirs that came in between means that the call has to be asked again.
   */
  #sure(call: string, attempt: () => number): number {
    for (let left = 10;; left--) {
      const result = attempt();
      if (result >= 0) return result;
      const number = errno(this.#libc);
      if (number !== EAGAIN || left === 0) throw systemError(call, number);
    }
  }
}
