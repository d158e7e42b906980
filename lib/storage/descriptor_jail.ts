import type { Room } from "../base/arena.ts";
import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { Confinement, Descriptors, NewName, NewRawFile, RawFile, RawInfo } from "../native/native.ts";
import {
  below,
  type Held,
  type Jail,
  type JailOptions,
  leadsOut,
  type NameBatch,
  type OpenFile,
  renameIfAbsent,
} from "./jail.ts";
import { JustFound } from "./just_found.ts";
import type { KnownSums } from "./known_sums.ts";
import type { Direct } from "./local_reader.ts";
import { osCode } from "./os_error.ts";

interface HeldDescriptor extends Held {
  readonly descriptor: number;
}

/** The way by descriptors: the kernel keeps every path below the root, and what is held can't be exchanged. */
export class DescriptorJail implements Jail {
  readonly pins = true;
  readonly flushesAll = true;
  readonly #system: Descriptors;
  readonly #root: number;
  readonly #options: JailOptions;
  readonly #way: Confinement;
  /** For one name of a held folder. */
  readonly #step: Confinement;
  /** Without a link on the way. */
  readonly #found: JustFound;

  constructor(
    root: string | number,
    system: Descriptors,
    options: JailOptions & { readonly links?: boolean; readonly found?: JustFound } = {},
  ) {
    const { links = true, oneFileSystem = false } = options;
    this.#system = system;
    this.#found = options.found ?? new JustFound((descriptor) => system.close(descriptor));
    this.#root = typeof root === "number" ? root : system.holdRoot(root);
    this.#options = options;
    this.#way = { links, mounts: !oneFileSystem };
    this.#step = { links: false, mounts: !oneFileSystem };
  }

  strict(): DescriptorJail {
    return new DescriptorJail(this.#root, this.#system, { ...this.#options, links: false, found: this.#found });
  }

  resolve(path: SafePath): Soon<SafePath> {
    return this.#isStraight(path) ? path : this.#follow(path);
  }

  async #follow(path: SafePath): Promise<SafePath> {
    using held = await this.hold(path);
    return below(Deno.readLinkSync(this.#system.pathOf(this.#root)), Deno.readLinkSync(held.path), path);
  }

  /** Most paths have no link in them, and the kernel says so in one call. */
  #isStraight(path: SafePath): boolean {
    try {
      this.#found.put(path, this.#system.holdBeneath(this.#root, beneath(path), this.#step));
      return true;
    } catch {
      return false;
    }
  }

  // deno-lint-ignore require-await
  async hold(path: SafePath): Promise<HeldDescriptor> {
    const found = this.#way.links ? undefined : this.#found.take(path);
    if (found !== undefined) return this.#held(found);
    try {
      return this.#held(this.#system.holdBeneath(this.#root, beneath(path), this.#way));
    } catch (error) {
      if (osCode(error) === "EXDEV") throw leadsOut(this.#options, path);
      // openat2(2), RESOLVE_NO_SYMLINKS.
      if (!this.#way.links && osCode(error) === "ELOOP") throw new FshError("NOT_FOUND", { cause: error });
      throw error;
    }
  }

  at(folder: HeldDescriptor, name: string): HeldDescriptor {
    return this.#held(this.#system.holdBeneath(folder.descriptor, name, this.#step));
  }

  #held(descriptor: number): HeldDescriptor {
    return {
      descriptor,
      path: this.#system.pathOf(descriptor),
      [Symbol.dispose]: () => this.#system.close(descriptor),
    };
  }

  look(held: HeldDescriptor): Deno.FileInfo {
    return Deno.statSync(held.path);
  }

  isElsewhere(folder: HeldDescriptor, name: string): boolean {
    if (this.#step.mounts) return false;
    try {
      using _held = this.at(folder, name);
      return false;
    } catch (error) {
      return osCode(error) === "EXDEV";
    }
  }

  async *names(held: HeldDescriptor): AsyncIterable<NameBatch> {
    const folder = this.#system.openFolder(held.descriptor);
    try {
      for (;;) {
        const raw = this.#system.names(folder);
        if (raw.length === 0) return;
        yield raw.map(({ name, isFolder }) => ({ name: textOf(name), isFolder }));
      }
    } finally {
      this.#system.close(folder);
    }
  }

  readFile(folder: HeldDescriptor, name: string, { limit, room }: { limit: number; room: Room }): RawFile | null {
    // What is mounted over the name would be opened.
    return this.#step.mounts ? this.#system.readFile(folder.descriptor, name, limit, room) : null;
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

  renameWithin(folder: HeldDescriptor, names: NewName): void | Promise<void> {
    try {
      this.#system.renameWithin(folder.descriptor, names);
    } catch (error) {
      if (!names.noReplace || !isUnknownFlag(error)) throw error;
      return renameIfAbsent(`${folder.path}/${names.from}`, `${folder.path}/${names.to}`);
    }
  }

  flushAll(): Promise<void> {
    return this.#system.flushAll(this.#root);
  }

  async renameNoReplace(from: string, to: string): Promise<void> {
    try {
      this.#system.renameNoReplace(from, to);
    } catch (error) {
      if (!isUnknownFlag(error)) throw error;
      await renameIfAbsent(from, to);
    }
  }

  close(): void {
    this.#found.clear();
    this.#system.close(this.#root);
  }
}

/** Not every file system knows RENAME_NOREPLACE (renameat2(2)). */
function isUnknownFlag(error: unknown): boolean {
  return osCode(error) === "EINVAL" || osCode(error) === "ENOSYS";
}

/** Null: it is not Unicode. */
function textOf(name: Uint8Array): string | null {
  try {
    return decodeUtf8(name);
  } catch {
    return null;
  }
}

/** A path as openat2 takes it, relative to the root. */
function beneath(path: SafePath): string {
  return path === "/" ? "." : path.slice(1);
}
