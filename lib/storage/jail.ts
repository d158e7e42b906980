import { SEPARATOR } from "@std/path";
import type { Room } from "../base/arena.ts";
import { FshError } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
import { baseName, parentPath, type SafePath, safePath } from "../base/virtual_path.ts";
import type { NewName, NewRawFile, RawFile, RawInfo } from "../native/native.ts";
import type { KnownSums } from "./known_sums.ts";
import type { Direct } from "./local_reader.ts";
import { osCode } from "./os_error.ts";

/** Something below the root that was found and can't be exchanged for something else while it is held. */
export interface Held extends Disposable {
  /** A path for the runtime's calls, good while held. */
  readonly path: string;
}

/** Names of a folder. */
export type NameBatch = {
  /** Null: it is not Unicode. */
  readonly name: string | null;
  /** Null: only a look at it tells. */
  readonly isFolder: boolean | null;
}[];

/** A file that is written and still locked. */
export interface OpenFile {
  sync(): Promise<void>;
  close(): void;
}

export interface JailOptions {
  /** Nothing on another file system than the root's. */
  readonly oneFileSystem?: boolean;
}

/** Ways from virtual paths to the file system that never lead out of the root. */
export interface Jail {
  /** Whether what is held stays the same object, whatever happens to its name. */
  readonly pins: boolean;
  /** Finds what `path` stands for, following symbolic links only as long as they stay below the root. */
  hold(path: SafePath): Promise<Held>;
  /** Where that lies: the path that has no symbolic link in it. */
  resolve(path: SafePath): Soon<SafePath>;
  /** The same root, but a symbolic link on the way leads nowhere: `hold` is NOT_FOUND. Closed with this one. */
  strict(): Jail;
  /** What has this name in a held folder, itself: a symbolic link is an Error with the code ELOOP. */
  at(folder: Held, name: string): Held;
  /** Looks at what is held; for a pinned one this is sure to be about the same object as all else that is done with it. */
  look(held: Held): Deno.FileInfo;
  /** Whether a name of a held folder is that of another file system, which the jail's options leave out. */
  isElsewhere(folder: Held, name: string): boolean;
  names(held: Held): AsyncIterable<NameBatch>;
  /** As `Descriptors.readFile`; null: there is no such short way here. */
  readFile(folder: Held, name: string, options: { limit: number; room: Room }): RawFile | null;
  /** As `Descriptors.describe`; null: there is no such short way here. */
  describe(folder: Held, name: string): RawInfo | null;
  /** Opens a held file for being sent without being read; undefined: that can't be done here. */
  openDirect(held: Held, sums: KnownSums): Direct | undefined;
  /** As `Descriptors.createFile`; null: there is no such short way here. */
  createFile(folder: Held, name: string, file: NewRawFile): OpenFile | null;
  /** Renames within a folder, replacing what has that name unless told otherwise; waits only where there is no call for it. */
  renameWithin(folder: Held, names: NewName): void | Promise<void>;
  /** Whether `flushAll` is possible here. */
  readonly flushesAll: boolean;
  /** Flushes the whole file system. */
  flushAll(): Promise<void>;
  renameNoReplace(from: string, to: string): Promise<void>;
  close(): void;
}

/** A name in a held folder; what has it need not exist, and is not followed. */
export interface HeldName extends Held {
  readonly folder: Held;
  readonly name: string;
}

/** Holds the parent folder of `path` and names the object in it. */
export async function holdParent(jail: Jail, path: SafePath): Promise<HeldName> {
  const folder = await jail.hold(parentPath(path));
  const name = baseName(path);
  return { folder, name, path: `${folder.path}/${name}`, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** The error for a path that the jail ends; it says the same whether anything is there or not. */
export function leadsOut({ oneFileSystem = false }: JailOptions, path?: SafePath): FshError {
  const detail = "it leads out of the served folder" + (oneFileSystem ? ", or to another file system" : "");
  return new FshError("NOT_PERMITTED", { subject: path, detail });
}

/** An Error as the system's calls throw them. */
export function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** The virtual path of something at `real`, whose tree is at `root`; both without symbolic links. */
export function below(root: string, real: string, path: SafePath): SafePath {
  if (real === root) return safePath("/");
  const folder = root.endsWith(SEPARATOR) ? root : root + SEPARATOR;
  if (!real.startsWith(folder)) {
    throw leadsOut({}, path);
  }
  return safePath("/" + real.slice(folder.length).replaceAll(SEPARATOR, "/"));
}

/** Looks first and renames then: somebody else may come in between. */
export async function renameIfAbsent(from: string, to: string): Promise<void> {
  try {
    await Deno.lstat(to);
  } catch (error) {
    if (osCode(error) !== "ENOENT" && !(error instanceof Deno.errors.NotFound)) throw error;
    return await Deno.rename(from, to);
  }
  throw new FshError("EXISTS");
}
