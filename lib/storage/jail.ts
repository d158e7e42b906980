import type { Room } from "../base/arena.ts";
import { relative, resolve, SEPARATOR } from "@std/path";
import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { baseName, parentPath, type SafePath, safePath } from "../base/virtual_path.ts";
import { native } from "../native/load.ts";
import type { Descriptors, NewRawFile, RawFile, RawInfo } from "../native/native.ts";
import { JustFound } from "./just_found.ts";
import type { KnownSums } from "./known_sums.ts";
import type { Direct } from "./local_reader.ts";
import { osCode } from "./os_error.ts";

/** Something below the root that was found and can't be exchanged for something else while it is held. */
export interface Held extends Disposable {
  /** A path for the runtime's calls, good while held. */
  readonly path: string;
}

/** Names of a folder; null stands for one that is not Unicode. */
export type NameBatch = (string | null)[];

/** A file that is written and still locked. */
export interface OpenFile {
  sync(): Promise<void>;
  close(): void;
}

/** Ways from virtual paths to the file system that never lead out of the root. */
export interface Jail {
  /** Whether what is held stays the same object, whatever happens to its name. */
  readonly pins: boolean;
  /** Finds what `path` stands for, following symbolic links only as long as they stay below the root. */
  hold(path: SafePath): Promise<Held>;
  /** Where that lies: the path that has no symbolic link in it. */
  resolve(path: SafePath): Promise<SafePath>;
  /** The same root, but a symbolic link on the way leads nowhere: `hold` is NOT_FOUND. Closed with this one. */
  strict(): Jail;
  names(held: Held): AsyncIterable<NameBatch>;
  /** As `Descriptors.readFile`; null: there is no such short way here. */
  readFile(folder: Held, name: string, options: { limit: number; room: Room }): RawFile | null;
  /** As `Descriptors.describe`; null: there is no such short way here. */
  describe(folder: Held, name: string): RawInfo | null;
  /** Opens a held file for being sent without being read; undefined: that can't be done here. */
  openDirect(held: Held, sums: KnownSums): Direct | undefined;
  /** As `Descriptors.createFile`; null: there is no such short way here. */
  createFile(folder: Held, name: string, file: NewRawFile): OpenFile | null;
  /** Renames within a folder, replacing what has that name. */
  renameWithin(folder: Held, from: string, to: string): void;
  /** Whether `flushAll` is possible here. */
  readonly flushesAll: boolean;
  /** Flushes the whole file system. */
  flushAll(): Promise<void>;
  renameNoReplace(from: string, to: string): Promise<void>;
  close(): void;
}

/** By descriptors where the kernel has openat2, else or with `portable` by checked paths. The root must be a folder. */
export async function openJail(root: string, options: { portable?: boolean } = {}): Promise<Jail> {
  const real = await Deno.realPath(root);
  const descriptors = options.portable ? null : native().descriptors;
  return descriptors === null ? new CheckedJail(real) : new DescriptorJail(real, descriptors);
}

/** Holds the parent folder of `path` and names the object in it, which need not exist and is not followed. */
export async function holdParent(jail: Jail, path: SafePath): Promise<Held> {
  const parent = await jail.hold(parentPath(path));
  return { path: `${parent.path}/${baseName(path)}`, [Symbol.dispose]: () => parent[Symbol.dispose]() };
}

interface HeldDescriptor extends Held {
  readonly descriptor: number;
}

class DescriptorJail implements Jail {
  readonly pins = true;
  readonly flushesAll = true;
  readonly #system: Descriptors;
  readonly #root: number;
  readonly #links: boolean;
  /** Without a link on the way. */
  readonly #found: JustFound;

  constructor(
    root: string | number,
    system: Descriptors,
    options: { readonly links: boolean; readonly found?: JustFound } = { links: true },
  ) {
    this.#system = system;
    this.#found = options.found ?? new JustFound((descriptor) => system.close(descriptor));
    this.#root = typeof root === "number" ? root : system.holdRoot(root);
    this.#links = options.links;
  }

  strict(): DescriptorJail {
    return new DescriptorJail(this.#root, this.#system, { links: false, found: this.#found });
  }

  async resolve(path: SafePath): Promise<SafePath> {
    if (this.#isStraight(path)) return path;
    using held = await this.hold(path);
    return below(Deno.readLinkSync(this.#system.pathOf(this.#root)), Deno.readLinkSync(held.path), path);
  }

  /** Most paths have no link in them, and the kernel says so in one call. */
  #isStraight(path: SafePath): boolean {
    try {
      const beneath = path === "/" ? "." : path.slice(1);
      this.#found.put(path, this.#system.holdBeneath(this.#root, beneath, { links: false }));
      return true;
    } catch {
      return false;
    }
  }

  // deno-lint-ignore require-await
  async hold(path: SafePath): Promise<HeldDescriptor> {
    const found = this.#links ? undefined : this.#found.take(path);
    const descriptor = found ?? this.#hold(path === "/" ? "." : path.slice(1));
    return {
      descriptor,
      path: this.#system.pathOf(descriptor),
      [Symbol.dispose]: () => this.#system.close(descriptor),
    };
  }

  #hold(path: string): number {
    try {
      return this.#system.holdBeneath(this.#root, path, { links: this.#links });
    } catch (error) {
      // openat2(2), RESOLVE_NO_SYMLINKS.
      if (!this.#links && osCode(error) === "ELOOP") throw new FshError("NOT_FOUND", { cause: error });
      throw error;
    }
  }

  async *names(held: HeldDescriptor): AsyncIterable<NameBatch> {
    const folder = this.#system.openFolder(held.descriptor);
    try {
      for (;;) {
        const raw = this.#system.names(folder);
        if (raw.length === 0) return;
        yield raw.map((name) => {
          try {
            return decodeUtf8(name);
          } catch {
            return null;
          }
        });
      }
    } finally {
      this.#system.close(folder);
    }
  }

  readFile(folder: HeldDescriptor, name: string, { limit, room }: { limit: number; room: Room }): RawFile {
    return this.#system.readFile(folder.descriptor, name, limit, room);
  }

  describe(folder: HeldDescriptor, name: string): RawInfo {
    return this.#system.describe(folder.descriptor, name);
  }

  openDirect(held: HeldDescriptor, sums: KnownSums): Direct {
    return { system: this.#system, descriptor: this.#system.openFile(held.descriptor), sums };
  }

  createFile(folder: HeldDescriptor, name: string, file: NewRawFile): OpenFile {
    const descriptor = this.#system.createFile(folder.descriptor, name, file);
    return { sync: () => this.#system.flush(descriptor), close: () => this.#system.close(descriptor) };
  }

  renameWithin(folder: HeldDescriptor, from: string, to: string): void {
    this.#system.renameWithin(folder.descriptor, from, to);
  }

  flushAll(): Promise<void> {
    return this.#system.flushAll(this.#root);
  }

  async renameNoReplace(from: string, to: string): Promise<void> {
    try {
      this.#system.renameNoReplace(from, to);
    } catch (error) {
      // Not every file system knows the flag (renameat2(2): EINVAL).
      if (osCode(error) !== "EINVAL" && osCode(error) !== "ENOSYS") throw error;
      await renameIfAbsent(from, to);
    }
  }

  close(): void {
    this.#found.clear();
    this.#system.close(this.#root);
  }
}

/**
 * The portable way: resolve, check that the result lies below the root, and only then use it. Between check and use
 * another process of this machine can still exchange a folder for a symbolic link; that is what remains. The runtime
 * leaves out names that are not Unicode and does not say how many, so none of them is counted.
 */
class CheckedJail implements Jail {
  readonly pins = false;
  readonly flushesAll = false;
  readonly #root: string;
  readonly #links: boolean;

  constructor(root: string, options: { readonly links: boolean } = { links: true }) {
    this.#root = root;
    this.#links = options.links;
  }

  strict(): CheckedJail {
    return new CheckedJail(this.#root, { links: false });
  }

  async resolve(path: SafePath): Promise<SafePath> {
    using held = await this.hold(path);
    return below(this.#root, held.path, path);
  }

  async hold(path: SafePath): Promise<Held> {
    const wanted = path === "/" ? this.#root : resolve(this.#root, path.slice(1).replaceAll("/", SEPARATOR));
    const real = await Deno.realPath(wanted);
    const within = relative(this.#root, real);
    if (within === ".." || within.startsWith(".." + SEPARATOR) || resolve(this.#root, within) !== real) {
      throw new FshError("NOT_PERMITTED", { subject: path, detail: "it leads out of the served folder" });
    }
    if (!this.#links && real !== wanted) throw new FshError("NOT_FOUND", { subject: path });
    return { path: real, [Symbol.dispose]: () => {} };
  }

  async *names(held: Held): AsyncIterable<NameBatch> {
    let batch: NameBatch = [];
    for await (const entry of Deno.readDir(held.path)) {
      batch.push(entry.name);
      if (batch.length === 512) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) yield batch;
  }

  readFile(): null {
    return null;
  }

  describe(): null {
    return null;
  }

  openDirect(): undefined {}

  createFile(): null {
    return null;
  }

  renameWithin(folder: Held, from: string, to: string): void {
    Deno.renameSync(`${folder.path}/${from}`, `${folder.path}/${to}`);
  }

  flushAll(): Promise<void> {
    return Promise.reject(new FshError("UNSUPPORTED", { subject: "syncfs" }));
  }

  renameNoReplace(from: string, to: string): Promise<void> {
    return renameIfAbsent(from, to);
  }

  close(): void {}
}

/** The virtual path of something at `real`, whose tree is at `root`; both without symbolic links. */
function below(root: string, real: string, path: SafePath): SafePath {
  if (real === root) return safePath("/");
  const folder = root.endsWith(SEPARATOR) ? root : root + SEPARATOR;
  if (!real.startsWith(folder)) {
    throw new FshError("NOT_PERMITTED", { subject: path, detail: "it leads out of the served folder" });
  }
  return safePath("/" + real.slice(folder.length).replaceAll(SEPARATOR, "/"));
}

/** Looks first and renames then: somebody else may come in between. */
async function renameIfAbsent(from: string, to: string): Promise<void> {
  try {
    await Deno.lstat(to);
  } catch (error) {
    if (osCode(error) !== "ENOENT" && !(error instanceof Deno.errors.NotFound)) throw error;
    return await Deno.rename(from, to);
  }
  throw new FshError("EXISTS");
}
