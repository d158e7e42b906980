import { createHash } from "node:crypto";
import { encodeUtf8, randomHex } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import { FshError, isError } from "../base/errors.ts";
import { PART_PREFIX } from "../base/virtual_path.ts";
import type { Held, Jail } from "./jail.ts";
import { osCode, osError } from "./os_error.ts";
import { permissionBits } from "./permission_bits.ts";
import type { PartOptions } from "./storage.ts";

/** How often a part file is looked at that others exchange meanwhile. */
const ATTEMPTS = 100;
const EXCHANGED = "somebody exchanged the unfinished file";

/** An open, locked, unfinished file. */
export interface PartFile {
  readonly file: Deno.FsFile;
  readonly name: string;
  /** Bytes that are kept; the file stands behind them. */
  readonly offset: number;
}

/**
 * Opens a part file in a held folder for the target `base`. Without options it is for this transfer only; but where no
 * other is writing, it has the target's own name for it, so that what a killed process left is used up by the next
 * transfer.
 */
export function openPart(jail: Jail, folder: Held, part: { base: string; options: PartOptions | undefined }): PartFile {
  const { base, options } = part;
  if (options) return findPart(jail, folder, { base, options });
  try {
    return findPart(jail, folder, { base, options: { owner: "", continue: false } });
  } catch (error) {
    if (!isError(error, "LOCKED")) throw error;
    const name = PART_PREFIX + randomHex(8);
    return { file: Deno.openSync(`${folder.path}/${name}`, { write: true, createNew: true }), name, offset: 0 };
  }
}

/**
 * Opens the part file of this owner for the target `base`, as it was left or new. The lock goes with the process, so
 * that a killed one blocks nobody. These calls touch no data; done in the background each would cost more.
 *
 * @throws {FshError} LOCKED while another transfer writes it
 */
function findPart(jail: Jail, folder: Held, part: { base: string; options: PartOptions }): PartFile {
  const { base, options } = part;
  const name = partName(base, options.owner);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const opened = openOrCreate(jail, folder, name);
    if (opened === null) continue;
    const { file, fresh } = opened;
    try {
      if (!file.tryLockSync(true)) throw new FshError("LOCKED", { detail: "try again when it has ended" });
      if (fresh) return { file, name, offset: 0 };
      if (isNamed(jail, folder, { name, file })) {
        const offset = options.continue ? file.seekSync(0, Deno.SeekMode.End) : 0;
        if (!options.continue) file.truncateSync(0);
        return { file, name, offset };
      }
    } catch (error) {
      file.close();
      throw error;
    }
    // Its last writer finished it between our opening and our locking.
    file.close();
  }
  throw new FshError("LOCKED", { detail: "somebody keeps exchanging the unfinished file" });
}

/**
 * The name of the part file for the target `base`. Without an owner two targets may share one, at no harm: where both are
 * being written, one finds it locked and takes another name.
 */
export function partName(base: string, owner = ""): string {
  if (owner === "") return PART_PREFIX + crc32(encodeUtf8(base)).toString(16);
  return PART_PREFIX + createHash("sha256").update(`${owner}\0${base}`).digest("hex").slice(0, 32);
}

/** Sets the permission bits of an open part file, and of nothing else that may have got its name. */
export function setPartMode(jail: Jail, folder: Held, part: Pick<PartFile, "file" | "name"> & { mode: number }): void {
  using held = jail.at(folder, part.name);
  if (!isSame(jail.look(held), part.file.statSync())) throw new FshError("STORAGE_FAILED", { detail: EXCHANGED });
  Deno.chmodSync(held.path, permissionBits(part.mode));
}

/** Null: it changed while it was looked at. */
function openOrCreate(jail: Jail, folder: Held, name: string): { file: Deno.FsFile; fresh: boolean } | null {
  const path = `${folder.path}/${name}`;
  try {
    return { file: Deno.openSync(path, { read: true, write: true, createNew: true }), fresh: true };
  } catch (error) {
    if (osError(error, "").error !== "EXISTS") throw error;
  }
  try {
    using held = jail.at(folder, name);
    if (isOurs(jail.look(held), jail.look(folder))) {
      return { file: Deno.openSync(held.path, { read: true, write: true }), fresh: false };
    }
  } catch (error) {
    if (osError(error, "").error === "NOT_FOUND") return null;
    if (osCode(error) !== "ELOOP") throw error;
  }
  // Somebody planted it. Removing a name harms nothing that it may have led to.
  try {
    Deno.removeSync(path);
    return null;
  } catch (cause) {
    if (osError(cause, "").error === "NOT_FOUND") return null;
    throw new FshError("LOCKED", { detail: "something else has the name of the unfinished file", cause });
  }
}

/**
 * Whether a part file can be one that this program left: what it leads to is nobody else's. A link to it from somewhere
 * else, or an owner who may not even change the folder, says that it was put there for us to write to.
 */
function isOurs(part: Deno.FileInfo, folder: Deno.FileInfo): boolean {
  if (!part.isFile || (part.nlink ?? 1) > 1) return false;
  return part.uid === null || part.uid === Deno.uid() || part.uid === folder.uid;
}

/** Whether the name still stands for the open file, and for nothing besides. */
function isNamed(jail: Jail, folder: Held, { name, file }: Pick<PartFile, "file" | "name">): boolean {
  try {
    using held = jail.at(folder, name);
    const here = file.statSync();
    return here.isFile && (here.nlink ?? 1) <= 1 && isSame(jail.look(held), here);
  } catch {
    return false;
  }
}

function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}
