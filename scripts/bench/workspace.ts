// The folder of a run: what is moved, what is served, what is made, and the settings of the peers.
import { join } from "@std/path";
import { run, throwIfInterrupted } from "./processes.ts";
import type { Contender, Reset, Unit } from "./measure.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 4096;
/** Bytes of free memory in one piece: what a host takes back is larger. */
const WARM_PIECE = 512 * 1024;
/** Times what one run writes: its page cache, its processes and their sockets. */
const WARM_ROOM = 3;

export class Workspace implements AsyncDisposable {
  readonly #folder: string;
  /** In MiB. */
  readonly size: number;
  readonly files: number;
  #noted = new Set<string>();
  #aside = 0;
  #warmed = 0;

  private constructor(folder: string, size: number, files: number) {
    this.#folder = folder;
    this.size = size;
    this.files = files;
  }

  static async make(options: { folder?: string; size: number; files: number }): Promise<Workspace> {
    const where = options.folder === undefined ? {} : { dir: options.folder };
    const folder = await Deno.makeTempDir({ prefix: "fsh-bench-", ...where });
    // A server may run as somebody else.
    await Deno.chmod(folder, 0o755);
    const made = new Workspace(folder, options.size, options.files);
    for (const one of [made.local, made.served, made.settings]) await Deno.mkdir(one);
    return made;
  }

  get bytes(): number {
    return this.size * MIB;
  }

  get treeBytes(): number {
    return this.files * FILE_BYTES;
  }

  /** What is put. */
  get local(): string {
    return join(this.#folder, "local");
  }

  get served(): string {
    return join(this.#folder, "served");
  }

  /** Settings, keys and logs of the peers. */
  get settings(): string {
    return join(this.#folder, "settings");
  }

  /** What a get makes. */
  get copy(): string {
    return join(this.#folder, "copy");
  }

  /** What a put makes. */
  get made(): string {
    return join(this.served, "made");
  }

  /** The same file, "file", on both sides. */
  async makeFile(): Promise<void> {
    const path = join(this.local, "file");
    if (await exists(path)) return;
    using file = await Deno.open(path, { write: true, createNew: true });
    for (let i = 0; i < this.size; i++) {
      throwIfInterrupted();
      await file.write(random(MIB));
    }
    await run("cp", path, this.served);
  }

  /** "half", half as long as "file", for what is slow; served only. Answers its bytes. */
  async makeHalf(): Promise<number> {
    await this.makeFile();
    const bytes = Math.ceil(this.size / 2) * MIB;
    await run("cp", join(this.local, "file"), join(this.served, "half"));
    await Deno.truncate(join(this.served, "half"), bytes);
    return bytes;
  }

  /** The same tree, "tree", on both sides: files of 4 KiB in up to 100 folders. */
  async makeTree(): Promise<void> {
    const root = join(this.local, "tree");
    if (await exists(root)) return;
    const folders = Math.min(100, this.files);
    for (let i = 0; i < folders; i++) await Deno.mkdir(join(root, `folder-${i}`), { recursive: true });
    for (let i = 0; i < this.files; i++) {
      throwIfInterrupted();
      await Deno.writeFile(join(root, `folder-${i % folders}`, `file-${i}`), random(FILE_BYTES));
    }
    await run("cp", "-r", root, this.served);
  }

  /** Says once that something is left out, and why. */
  skip(what: string): void {
    if (this.#noted.has(what)) return;
    this.#noted.add(what);
    console.log(`\nskipped: ${what}`);
  }

  get skipped(): string[] {
    return [...this.#noted];
  }

  /** Before each run of a contender that writes up to so many bytes. */
  reset(bytes: number): Reset {
    return async (makes) => {
      throwIfInterrupted();
      if (makes) await this.#clear(makes);
      if (bytes > 0) await this.#warm(bytes);
      // Dirty pages of the one before must not slow the next.
      await run("sync");
    };
  }

  /**
   * Removes a file, or a folder of files, and puts a tree aside until the end: for a minute ext4 steps around every inode
   * that was deleted, one by one, and a tree that is made then costs ten times as much, whoever makes it.
   */
  async #clear(path: string): Promise<void> {
    const info = await Deno.lstat(path).catch(() => null);
    if (info === null) return;
    const isTree = info.isDirectory && (await Array.fromAsync(Deno.readDir(path))).some((entry) => entry.isDirectory);
    if (!isTree) return await Deno.remove(path, { recursive: true });
    const aside = join(this.#folder, "aside");
    await Deno.mkdir(aside, { recursive: true });
    await Deno.rename(path, join(aside, String(this.#aside++)));
  }

  /**
   * Sees to it that as much memory as a run fills is at hand. A virtual machine may give free memory back to its host,
   * in blocks of 2 MiB and more, and gets it again only when it is touched, at a tenth of the speed; which contender
   * happens to pay for that would decide the round. So two files are written by turns and one is removed: what becomes
   * free lies in pieces too small to be given back, as long as the other is in the page cache.
   */
  async #warm(bytes: number): Promise<void> {
    const wanted = Math.ceil(WARM_ROOM * bytes / WARM_PIECE);
    if (wanted <= this.#warmed) return;
    const [kept, freed] = [join(this.#folder, `kept-${wanted}`), join(this.#folder, "freed")];
    {
      using one = await Deno.open(kept, { write: true, createNew: true });
      using other = await Deno.open(freed, { write: true, createNew: true });
      const chunk = new Uint8Array(WARM_PIECE / 8);
      for (let piece = this.#warmed; piece < wanted; piece++) {
        throwIfInterrupted();
        for (const file of [one, other]) {
          for (let i = 0; i < 8; i++) await file.write(chunk);
        }
      }
    }
    await run("sync");
    await Deno.remove(freed);
    this.#warmed = wanted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

export function bytesPerSecond(bytes: number): Unit {
  return { name: "MB/s", figure: (seconds) => bytes / 1e6 / seconds };
}

export function filesPerSecond(files: number): Unit {
  return { name: "files/s", figure: (seconds) => files / seconds };
}

/** A contender that is one command, and makes a copy of `source`. */
export function copying(
  of: Pick<Contender, "name" | "rivals" | "prepare"> & { source: string; makes: string; command: readonly string[] },
): Contender {
  const { source, command, ...rest } = of;
  return { ...rest, run: () => run(...command), check: () => same(source, of.makes) };
}

/** Fails unless two files, or two trees, have the same content. */
export async function same(one: string, other: string): Promise<void> {
  await run("sh", "-c", 'diff -r -q "$1" "$2" >&2', "sh", one, other);
}

/** A command that writes to standard output, measured while it writes to nowhere; checked against `source`. */
export function draining(
  of: Pick<Contender, "name" | "rivals"> & { source: string; command: readonly string[] },
): Contender {
  const { source, command, ...rest } = of;
  return {
    ...rest,
    run: () => run(...command),
    check: () => run("sh", "-c", 'source=$1; shift; "$@" | cmp - "$source"', "sh", source, ...command),
  };
}

function random(bytes: number): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(chunk.subarray(at, at + 65536));
  return chunk;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
