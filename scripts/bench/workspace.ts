// The folder of a run: what is moved, what is served, what is made, and the settings of the peers.
import { join } from "@std/path";
import { run, throwIfInterrupted } from "./processes.ts";
import type { Contender, Reset, Unit } from "./measure.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 4096;

export class Workspace implements AsyncDisposable {
  readonly #folder: string;
  /** In MiB. */
  readonly size: number;
  readonly files: number;
  #noted = new Set<string>();
  #aside = 0;

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
      // Dirty pages of the one before must not slow the next.
      await run("sync");
      if (bytes > 0) await this.#warm(bytes);
    };
  }

  /**
   * Removes a file, and puts a folder aside until the end: for a minute ext4 steps around every inode that was deleted, one
   * by one, and a tree that is made then costs ten times as much, whoever makes it.
   */
  async #clear(path: string): Promise<void> {
    const info = await Deno.lstat(path).catch(() => null);
    if (info === null) return;
    if (!info.isDirectory) return await Deno.remove(path);
    const aside = join(this.#folder, "aside");
    await Deno.mkdir(aside, { recursive: true });
    await Deno.rename(path, join(aside, String(this.#aside++)));
  }

  /**
   * Fills and frees as much of the page cache as a round needs. A virtual machine gets memory from its host only when it
   * is first touched, at a tenth of the speed; which contender happened to pay for that would decide the round.
   */
  async #warm(bytes: number): Promise<void> {
    const scratch = join(this.#folder, "scratch");
    await run("dd", "if=/dev/zero", `of=${scratch}`, "bs=1M", `count=${Math.ceil(bytes * 1.1 / MIB) + 16}`);
    await Deno.remove(scratch);
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
