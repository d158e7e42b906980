import type { Account } from "./native.ts";
import { systemError } from "./libc.ts";

/** What is called of the C library; each function is described in its manual page. */
export const ACCOUNT_SYMBOLS = {
  getpwnam_r: { parameters: ["buffer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  getpwuid_r: { parameters: ["u32", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  getgrnam_r: { parameters: ["buffer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  getgrouplist: { parameters: ["buffer", "u32", "buffer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Calls = Deno.DynamicLibrary<typeof ACCOUNT_SYMBOLS>["symbols"];

const ERANGE = 34; // errno.h
/** Numbers that getpwnam(3) lists for "there is none": 0, ENOENT, ESRCH, EBADF, EPERM. */
const NOT_FOUND = [0, 2, 3, 9, 1];
/** Bytes for the strings of an entry, at first and at most. A group's entry has the names of all its members in it. */
const ROOM = { first: 16 * 1024, most: 16 * 1024 * 1024 };
/** Offsets in struct passwd (pwd.h) and struct group (grp.h) where pointers have 64 bits. */
const PASSWD = { bytes: 48, name: 0, uid: 16, gid: 20 };
const GROUP = { bytes: 32, gid: 16 };
/** NGROUPS_MAX of linux/limits.h. */
const MOST_GROUPS = 65_536;
/** The largest number stands for "leave it as it is" (setresuid(2)) and is nobody's. */
const MOST_ID = 2 ** 32 - 2;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Users and groups as the system knows them: by way of the C library, so from wherever nsswitch.conf says. */
export class LinuxAccounts {
  readonly #libc: Calls;

  constructor(libc: Calls) {
    this.#libc = libc;
  }

  /** Names come first, as chown(1) has it: a number is only one where nobody has it as a name. */
  find(user: string, group: string | null): Account | "no such user" | "no such group" | "no group" {
    const entry = this.#passwd(user);
    const uid = entry?.uid ?? idOf(user);
    if (uid === null) return "no such user";
    if (entry === null && group === null) return "no group";
    const gid = group === null ? entry?.gid ?? null : this.#groupId(group);
    if (gid === null) return "no such group";
    return { name: entry?.name ?? user, uid, gid, groups: entry === null ? [gid] : this.#groups(entry.name, gid) };
  }

  #passwd(user: string): PasswdEntry | null {
    const byName = this.#entry("getpwnam_r", PASSWD.bytes, (...rest) => this.#libc.getpwnam_r(text(user), ...rest));
    const uid = idOf(user);
    const found = byName ??
      (uid === null ? null : this.#entry("getpwuid_r", PASSWD.bytes, (...rest) => this.#libc.getpwuid_r(uid, ...rest)));
    if (found === null) return null;
    const name = Deno.UnsafePointer.create(found.getBigUint64(PASSWD.name, true));
    return {
      name: name === null ? user : new Deno.UnsafePointerView(name).getCString(),
      uid: found.getUint32(PASSWD.uid, true),
      gid: found.getUint32(PASSWD.gid, true),
    };
  }

  #groupId(group: string): number | null {
    const found = this.#entry("getgrnam_r", GROUP.bytes, (...rest) => this.#libc.getgrnam_r(text(group), ...rest));
    return found?.getUint32(GROUP.gid, true) ?? idOf(group);
  }

  /** The groups of a user, `gid` among them. */
  #groups(name: string, gid: number): number[] {
    const ids = new Uint32Array(MOST_GROUPS);
    const count = Int32Array.of(ids.length);
    const bytes = (array: Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>) => new Uint8Array(array.buffer);
    if (this.#libc.getgrouplist(text(name), gid, bytes(ids), bytes(count)) < 0) {
      throw new Error(`getgrouplist: more than ${MOST_GROUPS} groups`);
    }
    return [...new Set(ids.subarray(0, count[0]))];
  }

  /** One of the calls that fill a struct and a buffer with what it points to; null: there is no such entry. */
  #entry(
    call: string,
    bytes: number,
    ask: (
      entry: Uint8Array<ArrayBuffer>,
      room: Uint8Array<ArrayBuffer>,
      size: bigint,
      result: Uint8Array<ArrayBuffer>,
    ) => number,
  ): DataView | null {
    for (let size = ROOM.first;; size *= 4) {
      // The entry points into the room, which therefore lives as long as it.
      const all = new Uint8Array(bytes + 8 + size);
      const entry = all.subarray(0, bytes);
      const result = all.subarray(bytes, bytes + 8);
      const error = ask(entry, all.subarray(bytes + 8), BigInt(size), result);
      if (error === ERANGE && size < ROOM.most) continue;
      if (result.some((byte) => byte !== 0)) return new DataView(all.buffer, 0, bytes);
      if (NOT_FOUND.includes(error)) return null;
      throw systemError(call, error);
    }
  }
}

function idOf(name: string): number | null {
  if (!/^\d{1,10}$/.test(name)) return null;
  return Number(name) <= MOST_ID ? Number(name) : null;
}

/** A C string of its own. */
function text(name: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(name + "\0");
}
