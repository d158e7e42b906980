import { relative, resolve, SEPARATOR } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { NewName } from "../native/native.ts";
import {
  below,
  type Held,
  type Jail,
  type JailOptions,
  leadsOut,
  type NameBatch,
  renameIfAbsent,
  withCode,
} from "./jail.ts";

/** Symbolic links followed on one path, as Linux has it (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * The portable way: the path is walked component by component, so that nothing outside the root is even looked at; what
 * was found is asked about once more as a whole, and only then used. Between that and the use another process of this
 * machine can still exchange a folder for a symbolic link; that is what remains. The runtime leaves out names that are
 * not Unicode and does not say how many, so none of them is counted.
 */
export class CheckedJail implements Jail {
  readonly pins = false;
  readonly flushesAll = false;
  readonly #root: string;
  readonly #options: JailOptions & { readonly links?: boolean };
  /** Of the root's file system; null: any will do. */
  readonly #device: number | null;

  constructor(root: string, options: JailOptions & { readonly links?: boolean } = {}) {
    this.#root = root;
    this.#options = options;
    this.#device = options.oneFileSystem ? Deno.lstatSync(root).dev : null;
  }

  strict(): CheckedJail {
    return new CheckedJail(this.#root, { ...this.#options, links: false });
  }

  async resolve(path: SafePath): Promise<SafePath> {
    using held = await this.hold(path);
    return below(this.#root, held.path, path);
  }

  async hold(path: SafePath): Promise<Held> {
    const found = await this.#walk(path);
    // Once more: something may have been exchanged for a link behind our back.
    const real = await Deno.realPath(found);
    const within = relative(this.#root, real);
    if (within === ".." || within.startsWith(".." + SEPARATOR) || resolve(this.#root, within) !== real) {
      throw leadsOut(this.#options, path);
    }
    return { path: real, [Symbol.dispose]: () => {} };
  }

  /** Where a path leads; rejects with what is in its way before anything beyond that is looked at. */
  async #walk(path: SafePath): Promise<string> {
    const left = path.split("/").reverse();
    const way: string[] = [];
    let links = 0;
    let inFolder = true;
    while (left.length > 0) {
      const name = left.pop() as string;
      if (!inFolder) throw new FshError("NOT_DIRECTORY");
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (way.pop() === undefined) throw leadsOut(this.#options, path);
        continue;
      }
      const there = [this.#root, ...way, name].join(SEPARATOR);
      const info = await Deno.lstat(there);
      if (this.#device !== null && info.dev !== this.#device) throw leadsOut(this.#options, path);
      if (!info.isSymlink) {
        way.push(name);
        inFolder = info.isDirectory;
        continue;
      }
      if (this.#options.links === false) throw new FshError("NOT_FOUND");
      if (++links > MOST_LINKS) throw new FshError("LINK_LOOP");
      left.push(...this.#steps(await Deno.readLink(there), path).reverse());
    }
    return [this.#root, ...way].join(SEPARATOR);
  }

  /** The components of a link's text, relative to the link. One that begins at the file system's root leads out. */
  #steps(target: string, path: SafePath): string[] {
    if (target === "") throw new FshError("NOT_FOUND");
    const windows = Deno.build.os === "windows";
    if (windows ? /^(?:[\\/]|[A-Za-z]:)/.test(target) : target.startsWith("/")) throw leadsOut(this.#options, path);
    return target.split(windows ? /[\\/]/ : "/");
  }

  at(folder: Held, name: string): Held {
    const path = `${folder.path}/${name}`;
    if (Deno.lstatSync(path).isSymlink) throw withCode("ELOOP");
    return { path, [Symbol.dispose]: () => {} };
  }

  look(held: Held): Deno.FileInfo {
    return Deno.lstatSync(held.path);
  }

  isElsewhere(folder: Held, name: string): boolean {
    return this.#device !== null && Deno.lstatSync(`${folder.path}/${name}`).dev !== this.#device;
  }

  async *names(held: Held): AsyncIterable<NameBatch> {
    let batch: NameBatch = [];
    for await (const entry of Deno.readDir(held.path)) {
      batch.push({ name: entry.name, isFolder: entry.isDirectory });
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

  renameWithin(folder: Held, names: NewName): void | Promise<void> {
    const [from, to] = [`${folder.path}/${names.from}`, `${folder.path}/${names.to}`];
    if (names.noReplace) return renameIfAbsent(from, to);
    Deno.renameSync(from, to);
  }

  flushAll(): Promise<void> {
    return Promise.reject(new FshError("UNSUPPORTED", { subject: "syncfs" }));
  }

  renameNoReplace(from: string, to: string): Promise<void> {
    return renameIfAbsent(from, to);
  }

  close(): void {}
}
