import { dirname, join } from "@std/path";
import { encodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { osError } from "../storage/os_error.ts";

/** Longest path of a Unix socket, in bytes: sun_path of unix(7) has 108 with a NUL, on macOS 104. */
const LONGEST = Deno.build.os === "darwin" ? 103 : 107;
/** Bytes that the place where a socket is made adds to its folder's path. */
const MAKING = "/.fsh-1234567890123456/s".length;
/** For its owner only. */
const OWN = 0o600;

/** A Unix socket that listens under a path, for its owner only. The path names either a living socket or nothing. */
export class ControlSocket implements Disposable {
  readonly path: string;
  /** What the system calls it: the path that it was bound to. */
  readonly bound: string;
  readonly listener: Deno.UnixListener;
  readonly #inode: number | null;

  private constructor(path: string, { listener, bound }: { listener: Deno.UnixListener; bound: string }) {
    this.path = path;
    this.bound = bound;
    this.listener = listener;
    this.#inode = Deno.lstatSync(path).ino;
  }

  /**
   * Listens under a path. A socket there that nobody listens to any more is replaced.
   *
   * @throws {FshError} USAGE: the path is too long for a socket; ADDRESS_IN_USE: somebody listens there; EXISTS: something
   * else is there; NOT_FOUND, NOT_PERMITTED and the like, naming the path
   */
  static async open(path: string): Promise<ControlSocket> {
    const folder = dirname(path);
    const bytes = Math.max(encodeUtf8(path).length, encodeUtf8(folder).length + MAKING);
    if (bytes > LONGEST) {
      throw new FshError("USAGE", { subject: path, detail: `too long for a Unix socket, by ${bytes - LONGEST} bytes` });
    }
    let making: string | null = null;
    try {
      // Made where nobody else can enter, it is reachable by nobody before it has its mode, and by its path only once
      // somebody listens.
      making = await Deno.makeTempDir({ dir: folder, prefix: ".fsh-" });
      const bound = join(making, "s");
      const listener = Deno.listen({ transport: "unix", path: bound });
      try {
        Deno.chmodSync(bound, OWN);
        await takePath(path, { making, bound });
        return new ControlSocket(path, { listener, bound });
      } catch (error) {
        listener.close();
        throw error;
      }
    } catch (error) {
      throw error instanceof FshError ? error : osError(error, path);
    } finally {
      if (making !== null) await Deno.remove(making, { recursive: true }).catch(() => {});
    }
  }

  /** Takes its path away, unless somebody else has it by now, or took the right to do so. */
  [Symbol.dispose](): void {
    try {
      if (Deno.lstatSync(this.path).ino === this.#inode) Deno.removeSync(this.path);
    } catch {
      // Gone, or root's, whom the server is no more: the next one replaces it.
    }
    this.listener.close();
  }
}

/** Gives the socket its path, which is only ever taken from a dead one, whoever else tries at the same time. */
async function takePath(path: string, { making, bound }: { making: string; bound: string }): Promise<void> {
  while (!tryLink(bound, path)) {
    const found = await stateOf(path);
    if (found === "alive") {
      throw new FshError("ADDRESS_IN_USE", { subject: path, detail: "a server listens there; name another --control" });
    }
    if (found === "other") throw new FshError("EXISTS", { subject: path, detail: "and is no socket" });
    if (found === null) continue;
    const old = join(making, "old");
    if (!tryRename(path, old)) continue;
    // Somebody was quicker: that is not the dead one.
    if (Deno.lstatSync(old).ino !== found.ino) tryLink(old, path);
    Deno.removeSync(old);
  }
}

/** Whether it was there. */
function tryRename(from: string, to: string): boolean {
  try {
    Deno.renameSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    Deno.linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** What a path names; null: nothing. A dead socket is told by its inode. */
async function stateOf(path: string): Promise<"alive" | "other" | { readonly ino: number | null } | null> {
  try {
    const { isSocket, ino } = Deno.lstatSync(path);
    if (isSocket !== true) return "other";
    return await isAlive(path) ? "alive" : { ino };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether anybody listens to a socket. */
export async function isAlive(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) throw error;
    // It is busy (EAGAIN), which takes somebody.
    return true;
  }
}
