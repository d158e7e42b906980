import type { Room } from "../base/arena.ts";
import { FshError } from "../base/errors.ts";
import { baseName, parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { readWhole, writeEach } from "./each_file.ts";
import { fileTime } from "./file_time.ts";
import type { Held, Jail, OpenFile } from "./jail.ts";
import { osCode, osError } from "./os_error.ts";
import { openPart, partName, setPartMode } from "./part_file.ts";
import type { Patience } from "./patience.ts";
import { permissionBits } from "./permission_bits.ts";
import type { SharedFlush } from "./shared_flush.ts";
import type { NewFile, SmallFile, Storage } from "./storage.ts";

/** Groups that have files open at once; the others wait. A group is what one call of `write` brings. */
const GROUPS_AT_ONCE = 4;
/** From this many files or folders on, one flush of the whole file system takes the place of a flush for each. */
const WORTH_FLUSHING_ALL = 8;

export interface SmallFilesOptions {
  readonly jail: Jail;
  readonly patience: Patience;
  readonly flushes: SharedFlush;
  /** Whether files are flushed before they are visible. */
  readonly durable: boolean;
  /** Names of part files that are being written now. */
  readonly parts: Set<string>;
  /** The path as errors name it. */
  readonly named: (path: SafePath) => string;
  readonly flushFolder: (path: string) => Promise<void>;
  /** Whether files have to be looked at more closely than the short way does. */
  readonly careful: boolean;
  /** The long way, for what the short one does not do. */
  readonly storage: Pick<Storage, "openRead" | "openWrite">;
}

/** The unfinished file, open and locked. */
interface Part {
  readonly file: OpenFile;
  readonly name: string;
}

/** A file that is written but not yet visible. */
interface Pending {
  readonly index: number;
  readonly file: NewFile;
  readonly part: Part;
  readonly folder: Held;
}

/**
 * Whole small files of a local storage. Opening, reading, writing and renaming take some microseconds each, so they are
 * called as they are, without a promise, a lock-up of the path or a flush of its own for each file; where they turn out
 * to be slow, the long way is taken.
 */
export class LocalSmallFiles {
  readonly #options: SmallFilesOptions;
  #groups = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: SmallFilesOptions) {
    this.#options = options;
  }

  async *read(paths: Iterable<SafePath>, limit: number, room: Room): AsyncIterable<SmallFile | FshError> {
    const { storage, patience, careful } = this.#options;
    using folders = new HeldFolders(this.#options.jail);
    for (const path of paths) {
      const short = careful || patience.isExhausted ? null : await this.#readShort(folders, path, { limit, room });
      yield short ?? await readWhole(storage, path, { limit, room });
    }
  }

  /** Null where only the long way will do: a symbolic link, a platform without the call. */
  async #readShort(
    folders: HeldFolders,
    path: SafePath,
    options: { limit: number; room: Room },
  ): Promise<SmallFile | FshError | null> {
    const { jail, patience } = this.#options;
    const name = baseName(path);
    if (name === "") return null;
    try {
      const folder = await folders.hold(parentPath(path));
      const raw = patience.watch(() => jail.readFile(folder, name, options));
      // The long way knows how to say what is wrong with it.
      if (raw?.type !== "file") return null;
      const { size, modified, mode, content } = raw;
      return { info: { name, type: "file", size, modified, mode }, content };
    } catch (error) {
      // It became a symbolic link meanwhile.
      return osCode(error) === "ELOOP" ? null : osError(error, this.#options.named(path));
    }
  }

  async write(files: readonly NewFile[], options: { noReplace?: boolean }): Promise<(FshError | null)[]> {
    const { storage, patience, careful } = this.#options;
    if (careful || patience.isExhausted) return await writeEach(storage, files, options);
    while (this.#groups >= GROUPS_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#groups++;
    try {
      return await this.#writeGroup(files, options);
    } finally {
      this.#groups--;
      this.#waiting.shift()?.();
    }
  }

  async #writeGroup(files: readonly NewFile[], options: { noReplace?: boolean }): Promise<(FshError | null)[]> {
    const { jail, durable, named, patience } = this.#options;
    const results: (FshError | null)[] = files.map(() => null);
    const pending: Pending[] = [];
    using folders = new HeldFolders(jail, durable ? Infinity : 1);
    for (let index = 0; index < files.length; index++) {
      const file = files[index] as NewFile;
      try {
        if (file.path === ROOT) throw new FshError("IS_DIRECTORY");
        const held = folders.hold(parentPath(file.path));
        const folder = held instanceof Promise ? await held : held;
        const publishing = patience.watch(() => {
          const part = this.#writePart(folder, file);
          if (!durable) return this.#publish({ index, file, part, folder }, options);
          pending.push({ index, file, part, folder });
        });
        if (publishing) await publishing;
      } catch (error) {
        results[index] = osError(error, named(file.path));
      }
    }
    if (pending.length > 0) await this.#commit(pending, { ...options, results });
    return results;
  }

  /** Writes a file's part; the file stays open, as its lock goes with that. */
  #writePart(folder: Held, { path, content, modified = null, mode: wanted = null }: NewFile): Part {
    const mode = wanted === null ? null : permissionBits(wanted);
    const { jail, parts } = this.#options;
    const base = baseName(path);
    const name = partName(base);
    try {
      const file = jail.createFile(folder, name, {
        content,
        modified,
        mode,
      });
      if (file) {
        parts.add(name);
        return { file, name };
      }
    } catch (error) {
      // One was left by a transfer that was killed, or another one is writing it.
      if (osCode(error) !== "EEXIST") throw error;
    }
    const part = openPart(jail, folder, { base, options: undefined });
    parts.add(part.name);
    try {
      for (let at = 0; at < content.length;) at += part.file.writeSync(at === 0 ? content : content.subarray(at));
      if (modified !== null) part.file.utimeSync(Date.now() / 1000, fileTime(modified));
      if (mode !== null && Deno.build.os !== "windows") setPartMode(jail, folder, { ...part, mode });
      return part;
    } catch (error) {
      this.#discard(folder, part);
      throw error;
    }
  }

  /** Flushes all parts, makes them visible, and flushes the folders: three steps for the whole group. */
  async #commit(
    pending: readonly Pending[],
    options: { noReplace?: boolean; results: (FshError | null)[] },
  ): Promise<void> {
    const { named } = this.#options;
    const { results } = options;
    const fail = ({ index, file }: Pending, error: unknown) => void (results[index] = osError(error, named(file.path)));
    const flushed = await this.#flushAll(pending.length);
    await Promise.all(pending.map(async (one) => {
      try {
        if (flushed instanceof Error) throw flushed;
        if (!flushed) await one.part.file.sync();
      } catch (error) {
        fail(one, error);
        this.#discard(one.folder, one.part);
      }
    }));
    const folders = new Map<string, { held: Held; of: Pending[] }>();
    for (const one of pending) {
      if (results[one.index] !== null) continue;
      try {
        await this.#publish(one, options);
        const folder = parentPath(one.file.path);
        const entry = folders.get(folder) ?? { held: one.folder, of: [] };
        entry.of.push(one);
        folders.set(folder, entry);
      } catch (error) {
        fail(one, error);
      }
    }
    const settled = await this.#flushAll(folders.size);
    await Promise.all([...folders].map(async ([path, { held, of }]) => {
      try {
        if (settled instanceof Error) throw settled;
        if (!settled) await this.#options.flushes.request(path, () => this.#options.flushFolder(held.path));
      } catch (error) {
        for (const one of of) fail(one, error);
      }
    }));
  }

  /** Flushes everything at once if that is worth it and possible: true, or what went wrong; false: not done. */
  async #flushAll(things: number): Promise<boolean | Error> {
    const { jail, flushes } = this.#options;
    if (things < WORTH_FLUSHING_ALL || !jail.flushesAll) return false;
    try {
      await flushes.request("", () => jail.flushAll());
      return true;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** The part becomes the file; there is something to wait for only where it fails, or where the platform waits. */
  #publish(pending: Pending, { noReplace }: { noReplace?: boolean }): Promise<void> | void {
    const { file, part, folder } = pending;
    try {
      const renaming = this.#options.jail.renameWithin(folder, { from: part.name, to: baseName(file.path), noReplace });
      if (renaming) return this.#published(pending, renaming);
    } catch (error) {
      return this.#published(pending, Promise.reject(error));
    }
    this.#end(part);
  }

  async #published({ file, part, folder }: Pending, renaming: Promise<void>): Promise<void> {
    try {
      await renaming;
    } catch (error) {
      this.#discard(folder, part);
      throw await isFolder(`${folder.path}/${baseName(file.path)}`) ? new FshError("IS_DIRECTORY") : error;
    }
    this.#end(part);
  }

  #end(part: Part): void {
    part.file.close();
    this.#options.parts.delete(part.name);
  }

  /** Removed while it is locked: whoever gets the lock next must not find it. */
  #discard(folder: Held, part: Part): void {
    try {
      Deno.removeSync(`${folder.path}/${part.name}`);
    } catch {
      // Nothing was left of it, or nothing can be done.
    }
    this.#end(part);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/** The folders of files that come folder by folder: each is looked up once. */
class HeldFolders implements Disposable {
  readonly #jail: Jail;
  readonly #most: number;
  readonly #held = new Map<SafePath, Held>();

  /** Holds `most` folders at once. */
  constructor(jail: Jail, most = 1) {
    this.#jail = jail;
    this.#most = most;
  }

  /** @throws what the jail throws, NOT_FOUND where the folder is missing */
  hold(path: SafePath): Held | Promise<Held> {
    return this.#held.get(path) ?? this.#hold(path);
  }

  async #hold(path: SafePath): Promise<Held> {
    if (this.#held.size >= this.#most) this[Symbol.dispose]();
    const held = await this.#jail.hold(path);
    this.#held.set(path, held);
    return held;
  }

  [Symbol.dispose](): void {
    for (const held of this.#held.values()) held[Symbol.dispose]();
    this.#held.clear();
  }
}
