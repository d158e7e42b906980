import { errno, type Libc, systemError } from "./libc.ts";
import { ACCOUNT_SYMBOLS, LinuxAccounts } from "./linux_accounts.ts";
import type { Account, Privileges } from "./native.ts";

/** What is called of the C library; each function is described in its manual page. */
const SYMBOLS = {
  ...ACCOUNT_SYMBOLS,
  setgroups: { parameters: ["usize", "buffer"], result: "i32" },
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  access: { parameters: ["buffer", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const PR_SET_DUMPABLE = 4; // linux/prctl.h
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4; // asm-generic/resource.h
const ACCESS = { run: 1, write: 2, read: 4 }; // unistd.h: X_OK, W_OK, R_OK

/** Changes whom this process runs as. glibc makes each change in all threads; the kernel's own call would not. */
export class LinuxPrivileges implements Privileges {
  readonly #libc: Pick<Libc, "__errno_location">;
  #opened: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | null = null;

  constructor(libc: Pick<Libc, "__errno_location">) {
    this.#libc = libc;
  }

  /** Most runs need none of it. */
  get #calls() {
    return this.#opened ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  find(user: string, group: string | null) {
    return new LinuxAccounts(this.#calls).find(user, group);
  }

  become({ uid, gid, groups }: Account): void {
    const calls = this.#calls;
    // The groups first: without root's rights they can't be changed any more.
    const list = new Uint8Array(Uint32Array.from(groups).buffer);
    this.#checked("setgroups", calls.setgroups(BigInt(groups.length), list));
    this.#checked("setresgid", calls.setresgid(gid, gid, gid));
    this.#checked("setresuid", calls.setresuid(uid, uid, uid));
    // Of this thread, which is the one that starts programs; they and their threads inherit it.
    this.#checked("prctl(PR_SET_NO_NEW_PRIVS)", calls.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n));
    // No core dumps, and no other process of that user, such as a plugin's, reads this one's memory (prctl(2)).
    this.#checked("prctl(PR_SET_DUMPABLE)", calls.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n));
    if (calls.setresuid(0, 0, 0) === 0) throw new Error("root can be had back (setresuid)");
    for (const { task, status } of tasks()) {
      const wrong = stillThere(status, { uid, gid, groups });
      if (wrong !== null) throw new Error(`thread ${task} still has ${wrong}`);
    }
  }

  noCoreDumps(): void {
    // struct rlimit (getrlimit(2)): u64 soft, u64 hard.
    this.#checked("setrlimit", this.#calls.setrlimit(RLIMIT_CORE, new Uint8Array(16)));
  }

  may(path: string, ...what: readonly (keyof typeof ACCESS)[]): boolean {
    const mode = what.reduce((bits, one) => bits | ACCESS[one], 0);
    return this.#calls.access(new TextEncoder().encode(path + "\0"), mode) === 0;
  }

  #checked(call: string, result: number): void {
    if (result !== 0) throw systemError(call, errno(this.#libc));
  }
}

/** The threads of this process, with what proc_pid_status(5) says of each. */
function* tasks(): Iterable<{ task: string; status: string }> {
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      yield { task: name, status: Deno.readTextFileSync(`/proc/self/task/${name}/status`) };
    } catch (error) {
      // Threads come and go; those that come are made by one that was looked at, or will be.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What of root's rights a thread has kept, by its status (proc_pid_status(5)); null: nothing. */
export function stillThere(
  status: string,
  { uid, gid, groups }: Pick<Account, "uid" | "gid" | "groups">,
): string | null {
  const field = (name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, "m").exec(status)?.[1]?.split(/\s+/) ?? [];
  for (const [name, id] of [["Uid", uid], ["Gid", gid]] as const) {
    const ids = field(name);
    if (ids.length !== 4 || ids.some((one) => one !== String(id))) return `${name} ${ids.join(" ")}`;
  }
  const have = field("Groups").filter((one) => one !== "");
  const extra = have.filter((one) => !groups.includes(Number(one)));
  if (extra.length > 0) return `Groups ${extra.join(" ")}`;
  for (const name of ["CapPrm", "CapEff"]) {
    const [bits = "unknown"] = field(name);
    if (!/^0+$/.test(bits)) return `${name} ${bits}`;
  }
  return null;
}
