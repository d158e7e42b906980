import { statfs } from "node:fs/promises";
import type { Room } from "../base/arena.ts";
import { randomHex } from "../base/bytes.ts";
import type { Soon } from "../base/soon.ts";
import { FshError, isError } from "../base/errors.ts";
import { baseName, childPath, isWithin, parentPath, PART_PREFIX, ROOT, type SafePath } from "../base/virtual_path.ts";
import { fileTime } from "./file_time.ts";
import { FolderNames } from "./folder_names.ts";
import { type Held, holdParent, type Jail, type JailOptions } from "./jail.ts";
import { KnownSums } from "./known_sums.ts";
import { type Direct, LocalReader } from "./local_reader.ts";
import { type Durability, LocalWriter } from "./local_writer.ts";
import { openJail } from "./open_jail.ts";
import { openPart, setPartMode } from "./part_file.ts";
import { PartSweep } from "./part_sweep.ts";
import { Patience } from "./patience.ts";
import { permissionBits } from "./permission_bits.ts";
import { type FileFacts, refuseAllButFiles, type RegularFile, WatchfulFile } from "./regular_file.ts";
import { LocalSmallFiles } from "./small_files.ts";
import { SharedFlush } from "./shared_flush.ts";
import { osCode, osError } from "./os_error.ts";
import type {
  FileAttributes,
  FileReader,
  FileWriter,
  NewFile,
  Page,
  ReadOptions,
  SmallFile,
  Storage,
  Stored,
  WriteOptions,
} from "./storage.ts";
import { stored } from "./stored.ts";

/** A file of fewer bytes is not worth a look at its target before it comes: what is wrong is found at its end. */
const LATE_CHECK = 256 * 1024;
/** From this many bytes on, a file may be sent without being read. */
const WORTH_SENDING = 256 * 1024;
export interface LocalOptions extends JailOptions {
  /** `file`: flushed to disk before it is visible; `none`: left to the system. */
  readonly durability?: Durability;
  /** Takes the portable way to the file system even where the platform has a safer one. */
  readonly portable?: boolean;
  /** Refuses to read or replace regular files that have another name besides: HARD_LINKED. Not on Windows, which does not tell. */
  readonly noHardLinks?: boolean;
  /** Put before paths in errors: the folder's own, where the user of this machine reads them; never on a server. */
  readonly prefix?: string;
}

/** What the views of one folder have in common. */
class Shared {
  readonly flushes = new SharedFlush();
  readonly patience = new Patience();
  /** Names of part files that are being written now. */
  readonly parts = new Set<string>();
  readonly sums = new KnownSums();
}

/** A folder of this machine. Nothing outside it is read, created or changed. */
export class LocalStorage implements Storage {
  readonly identity: string;
  readonly #jail: Jail;
  readonly #options: LocalOptions;
  readonly #durability: Durability;
  readonly #prefix: string;
  readonly #shared: Shared;
  readonly #flushes: SharedFlush;
  readonly #patience: Patience;
  readonly #parts: Set<string>;
  readonly #small: LocalSmallFiles;
  readonly #names: FolderNames;
  readonly #sweep: PartSweep;
  readonly #sums: KnownSums;
  #strict: LocalStorage | null = null;

  private constructor(place: { root: string; jail: Jail }, options: LocalOptions, shared = new Shared()) {
    const { root, jail } = place;
    this.identity = root;
    this.#jail = jail;
    this.#options = options;
    this.#durability = options.durability ?? "file";
    this.#prefix = (options.prefix ?? "").replace(/\/$/, "");
    this.#shared = shared;
    this.#flushes = shared.flushes;
    this.#patience = shared.patience;
    this.#parts = shared.parts;
    this.#sums = shared.sums;
    this.#names = new FolderNames(jail, this.#patience);
    this.#sweep = new PartSweep(jail, this.#names, this.#parts);
    this.#small = new LocalSmallFiles({
      jail,
      patience: this.#patience,
      flushes: this.#flushes,
      durable: this.#durability === "file",
      parts: this.#parts,
      named: (path) => this.#named(path),
      flushFolder,
      careful: options.noHardLinks ?? false,
      storage: this,
    });
  }

  /** @throws {FshError} NOT_FOUND, NOT_DIRECTORY, NOT_PERMITTED, naming the folder; USAGE for an option */
  static async open(root: string, options: LocalOptions = {}): Promise<LocalStorage> {
    if (options.noHardLinks && Deno.build.os === "windows") {
      throw new FshError("USAGE", {
        subject: "--no-hardlinks",
        detail: "Windows does not tell how many names a file has",
      });
    }
    try {
      if (!(await Deno.stat(root)).isDirectory) throw new FshError("NOT_DIRECTORY");
      const jail = await openJail(root, options);
      return new LocalStorage({ root: await Deno.realPath(root), jail }, options);
    } catch (error) {
      throw osError(error, root);
    }
  }

  async *list(path: SafePath): AsyncIterable<Page> {
    try {
      using folder = await this.#jail.hold(path);
      if (!(await this.#stat(folder)).isDirectory) throw new FshError("NOT_DIRECTORY");
      yield* this.#names.pages(folder);
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  /** The path as errors name it. */
  #named(path: SafePath): string {
    return this.#prefix + path;
  }

  async stat(path: SafePath): Promise<Stored> {
    try {
      using held = await this.#jail.hold(path);
      return stored(baseName(path), await this.#stat(held));
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  async openRead(path: SafePath, options: ReadOptions = {}): Promise<FileReader> {
    try {
      using held = await this.#jail.hold(path);
      const { file, info, direct } = await this.#openFile(held);
      try {
        return await LocalReader.start(file, stored(baseName(path), info), {
          ...options,
          direct,
          path: this.#named(path),
        });
      } catch (error) {
        file.close();
        direct?.system.close(direct.descriptor);
        throw error;
      }
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  async #openFile(held: Held): Promise<{ file: RegularFile; info: FileFacts; direct: Direct | undefined }> {
    // Looked at before it is opened, so that a FIFO or a device is never touched.
    const info = await this.#stat(held);
    this.#refuseOdd(info);
    if (!this.#jail.pins) return { ...this.#openWatchfully(held), direct: undefined };
    // This one does not wait for somebody who has a lease on the file (fcntl(2)), and keeps others from getting one.
    const direct = this.#jail.openDirect(held, this.#sums);
    const wanted = info.size >= WORTH_SENDING;
    try {
      const file = await this.#patience.call(() => Deno.openSync(held.path), () => Deno.open(held.path));
      if (!wanted) direct?.system.close(direct.descriptor);
      return { file, info, direct: wanted ? direct : undefined };
    } catch (error) {
      direct?.system.close(direct.descriptor);
      throw error;
    }
  }

  #openWatchfully(held: Held): { file: RegularFile; info: FileFacts } {
    const file = new WatchfulFile(held.path);
    try {
      this.#refuseOdd(file.info);
      return { file, info: file.info };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #refuseOdd(info: FileFacts): void {
    refuseAllButFiles(info);
    this.#refuseHardLinked(info);
  }

  #refuseHardLinked({ isFile, nlink }: FileFacts): void {
    if (!this.#options.noHardLinks || !isFile || (nlink ?? 1) <= 1) return;
    throw new FshError("HARD_LINKED", { detail: "this server refuses files that have another name besides" });
  }

  /** What is held; a path that was found without links has none. */
  #stat({ path }: Held): Promise<Deno.FileInfo> {
    if (!this.#jail.pins) return this.#lstat(path);
    return this.#patience.call(() => Deno.statSync(path), () => Deno.stat(path));
  }

  #lstat(path: string): Promise<Deno.FileInfo> {
    return this.#patience.call(() => Deno.lstatSync(path), () => Deno.lstat(path));
  }

  #rename(from: string, to: string): Promise<void> {
    return this.#patience.call(() => Deno.renameSync(from, to), () => Deno.rename(from, to));
  }

  async openWrite(path: SafePath, options: WriteOptions = {}): Promise<FileWriter> {
    if (path === ROOT) throw new FshError("IS_DIRECTORY", { subject: this.#named(path) });
    try {
      const target = await holdParent(this.#jail, path);
      try {
        const early = this.#options.noHardLinks || !(options.size !== undefined && options.size < LATE_CHECK);
        if (early) await this.#refuseBadTarget(target, options);
        const { folder } = target;
        const { file, name, offset } = openPart(this.#jail, folder, { base: target.name, options: options.part });
        this.#parts.add(name);
        return new LocalWriter({
          file,
          offset,
          part: `${folder.path}/${name}`,
          setMode: (mode) => setPartMode(this.#jail, folder, { file, name, mode }),
          target,
          path: this.#named(path),
          flushFolder: this.#durability === "file"
            ? () => this.#flushes.request(parentPath(path), () => flushFolder(folder.path))
            : null,
          ended: () => this.#parts.delete(name),
          patience: this.#patience,
          move: (from, to) => options.noReplace ? this.#jail.renameNoReplace(from, to) : this.#rename(from, to),
        });
      } catch (error) {
        target[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  /** Says before the first byte what would fail at the last: a folder of that name, a file that must stay. */
  async #refuseBadTarget(target: Held, options: WriteOptions): Promise<void> {
    let info: Deno.FileInfo;
    try {
      info = await Deno.lstat(target.path);
    } catch (error) {
      if (isError(osError(error, ""), "NOT_FOUND")) return;
      throw error;
    }
    if (info.isDirectory) throw new FshError("IS_DIRECTORY");
    if (options.noReplace) throw new FshError("EXISTS");
    this.#refuseHardLinked(info);
  }

  readSmall(paths: Iterable<SafePath>, limit: number, room: Room): AsyncIterable<SmallFile | FshError> {
    return this.#small.read(paths, limit, room);
  }

  writeSmall(files: readonly NewFile[], options: { noReplace?: boolean } = {}): Promise<(FshError | null)[]> {
    return this.#small.write(files, options);
  }

  async mkdir(path: SafePath): Promise<void> {
    if (path === ROOT) throw new FshError("EXISTS", { subject: this.#named(path) });
    try {
      using target = await holdParent(this.#jail, path);
      await this.#patience.call(() => Deno.mkdirSync(target.path), () => Deno.mkdir(target.path));
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  async readLink(path: SafePath): Promise<string> {
    try {
      using link = await holdParent(this.#jail, path);
      return await Deno.readLink(link.path);
    } catch (error) {
      // readlink(2): what is there is no symbolic link.
      if (osCode(error) === "EINVAL") throw new FshError("NOT_LINK", { subject: this.#named(path) });
      throw osError(error, this.#named(path));
    }
  }

  async symlink(path: SafePath, target: string, options: Pick<WriteOptions, "noReplace"> = {}): Promise<void> {
    if (path === ROOT) throw new FshError("EXISTS", { subject: this.#named(path) });
    try {
      using place = await holdParent(this.#jail, path);
      // Made beside it and renamed, so that there is always the old link or the new one.
      const part = `${place.folder.path}/${PART_PREFIX}${randomHex(8)}`;
      await Deno.symlink(target, part);
      try {
        const old = await this.#lstat(place.path).catch(() => null);
        if (old && (!old.isSymlink || options.noReplace)) throw new FshError("EXISTS");
        if (old) await this.#rename(part, place.path);
        else await this.#jail.renameNoReplace(part, place.path);
      } catch (error) {
        await Deno.remove(part).catch(() => {});
        throw error;
      }
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  async touch(path: SafePath, { modified = null, mode = null }: FileAttributes): Promise<void> {
    try {
      using held = await this.#jail.hold(path);
      const info = await this.#stat(held);
      this.#refuseHardLinked(info);
      if (mode !== null && info.mode !== null) {
        await Deno.chmod(held.path, (info.mode & 0o7000) | permissionBits(mode));
      }
      if (modified !== null) await Deno.utime(held.path, Date.now() / 1000, fileTime(modified));
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  async remove(path: SafePath): Promise<void> {
    if (path === ROOT) {
      throw new FshError("NOT_PERMITTED", { subject: this.#named(path), detail: "the served folder itself stays" });
    }
    try {
      using target = await holdParent(this.#jail, path);
      try {
        await Deno.remove(target.path);
      } catch (error) {
        if (osCode(error) !== "ENOTEMPTY" || !await this.#sweep.removeOrphans(target)) throw error;
        await Deno.remove(target.path);
      }
    } catch (error) {
      throw osError(error, this.#named(path));
    }
  }

  /** Removes every part file that was given up a day ago or earlier; answers how many there were. */
  sweep(signal: AbortSignal): Promise<number> {
    return this.#sweep.sweep(signal);
  }

  async rename(from: SafePath, to: SafePath, options: WriteOptions = {}): Promise<void> {
    if (from === ROOT || to === ROOT) {
      throw new FshError("NOT_PERMITTED", { subject: this.#named(ROOT), detail: "the served folder itself stays" });
    }
    if (from !== to && isWithin(to, from)) throw new FshError("INTO_ITSELF", { subject: this.#named(from) });
    try {
      using source = await this.#holdSource(from);
      using target = await holdParent(this.#jail, to);
      if (options.noReplace) await this.#jail.renameNoReplace(source.path, target.path);
      else await Deno.rename(source.path, target.path);
    } catch (error) {
      if (osCode(error) === "EINVAL") throw new FshError("INTO_ITSELF", { subject: this.#named(from) });
      // Both ends were inside: they only lie on different file systems.
      if (osCode(error) === "EXDEV" && String(error).includes("rename")) {
        throw new FshError("STORAGE_FAILED", {
          subject: this.#named(to),
          detail: "it lies on another file system",
          cause: error,
        });
      }
      throw osError(error, this.#named(to));
    }
  }

  /** As `holdParent`, for something that must be there; failures are about it. */
  async #holdSource(from: SafePath): Promise<Held> {
    try {
      const source = await holdParent(this.#jail, from);
      try {
        await Deno.lstat(source.path);
        return source;
      } catch (error) {
        source[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      throw osError(error, this.#named(from));
    }
  }

  resolve(path: SafePath, { follow }: { readonly follow: boolean }): Soon<SafePath> {
    if (path === ROOT) return path;
    const known = follow ? this.#jail.resolve(path) : null;
    return typeof known === "string" ? known : this.#resolve(path, known);
  }

  /** What is not there yet, or not followed, lies in the folder that is. */
  async #resolve(path: SafePath, following: Promise<SafePath> | null): Promise<SafePath> {
    try {
      if (following) return await following;
    } catch (error) {
      const failure = osError(error, this.#named(path));
      if (!isError(failure, "NOT_FOUND", "NOT_DIRECTORY")) throw failure;
    }
    return childPath(await this.resolve(parentPath(path), { follow: true }), baseName(path));
  }

  async free(path: SafePath): Promise<number> {
    try {
      using folder = await this.#jail.hold(parentPath(path));
      const { bavail, bsize } = await statfs(folder.path);
      return bavail * bsize;
    } catch (error) {
      const failure = osError(error, this.#named(path));
      // The folder is still to be made.
      if (isError(failure, "NOT_FOUND") && parentPath(path) !== ROOT) return await this.free(parentPath(path));
      throw failure;
    }
  }

  strict(): Storage {
    this.#strict ??= new LocalStorage(
      { root: this.identity, jail: this.#jail.strict() },
      this.#options,
      this.#shared,
    );
    return this.#strict;
  }

  close(): void {
    this.#jail.close();
  }
}

/** Makes renames durable (fsync(2): a new directory entry needs the folder flushed, too). */
async function flushFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}
