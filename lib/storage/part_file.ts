import { createHash } from "node:crypto";
import { randomHex } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { PART_PREFIX } from "../base/virtual_path.ts";
import { osCode } from "./os_error.ts";
import type { PartOptions } from "./storage.ts";

/** An open, locked, unfinished file. */
export interface PartFile {
  readonly file: Deno.FsFile;
  readonly name: string;
  /** Bytes that are kept; the file stands behind them. */
  readonly offset: number;
}

/** Makes a part file that nobody else will find. */
export async function newPart(folder: string): Promise<PartFile> {
  const name = PART_PREFIX + randomHex(8);
  return { file: await Deno.open(`${folder}/${name}`, { write: true, createNew: true }), name, offset: 0 };
}

/**
 * Opens the part file of this owner for the target `base`, as it was left or new. The lock goes with the process, so
 * that a killed one blocks nobody.
 *
 * @throws {FshError} LOCKED while another transfer writes it
 */
export async function findPart(folder: string, base: string, options: PartOptions): Promise<PartFile> {
  const id = createHash("sha256").update(`${options.owner}\0${base}`).digest("hex").slice(0, 32);
  const name = PART_PREFIX + id;
  const path = `${folder}/${name}`;
  for (;;) {
    const file = await openOrCreate(path);
    try {
      if (!await file.tryLock(true)) throw new FshError("LOCKED", { detail: "try again when it has ended" });
      if (await isStill(path, file)) {
        const offset = options.continue ? await file.seek(0, Deno.SeekMode.End) : 0;
        if (!options.continue) await file.truncate(0);
        return { file, name, offset };
      }
    } catch (error) {
      file.close();
      throw error;
    }
    // Its last writer finished it between our opening and our locking.
    file.close();
  }
}

async function openOrCreate(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true, write: true, createNew: true });
  } catch (error) {
    if (osCode(error) !== "EEXIST" && !(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  if (!(await Deno.lstat(path)).isFile) throw new FshError("NOT_REGULAR");
  return await Deno.open(path, { read: true, write: true });
}

async function isStill(path: string, file: Deno.FsFile): Promise<boolean> {
  try {
    const [there, here] = [await Deno.lstat(path), await file.stat()];
    return there.isFile && there.ino === here.ino && there.dev === here.dev;
  } catch {
    return false;
  }
}
