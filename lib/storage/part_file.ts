import { createHash } from "node:crypto";
import { encodeUtf8, randomHex } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import { FshError, isError } from "../base/errors.ts";
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

/**
 * Opens a part file for the target `base`. Without options it is for this transfer only; but where no other is writing,
 * it has the target's own name for it, so that what a killed process left is used up by the next transfer.
 */
export function openPart(folder: string, base: string, options: PartOptions | undefined): PartFile {
  if (options) return findPart(folder, base, options);
  try {
    return findPart(folder, base, { owner: "", continue: false });
  } catch (error) {
    if (!isError(error, "LOCKED")) throw error;
    const name = PART_PREFIX + randomHex(8);
    return { file: Deno.openSync(`${folder}/${name}`, { write: true, createNew: true }), name, offset: 0 };
  }
}

/**
 * Opens the part file of this owner for the target `base`, as it was left or new. The lock goes with the process, so
 * that a killed one blocks nobody. These calls touch no data; done in the background each would cost more.
 *
 * @throws {FshError} LOCKED while another transfer writes it
 */
function findPart(folder: string, base: string, options: PartOptions): PartFile {
  const name = partName(base, options.owner);
  const path = `${folder}/${name}`;
  for (;;) {
    const { file, fresh } = openOrCreate(path);
    try {
      if (!file.tryLockSync(true)) throw new FshError("LOCKED", { detail: "try again when it has ended" });
      if (fresh) return { file, name, offset: 0 };
      if (isStill(path, file)) {
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
}

/**
 * The name of the part file for the target `base`. Without an owner two targets may share one, at no harm: where both are
 * being written, one finds it locked and takes another name.
 */
export function partName(base: string, owner = ""): string {
  if (owner === "") return PART_PREFIX + crc32(encodeUtf8(base)).toString(16);
  return PART_PREFIX + createHash("sha256").update(`${owner}\0${base}`).digest("hex").slice(0, 32);
}

function openOrCreate(path: string): { file: Deno.FsFile; fresh: boolean } {
  try {
    return { file: Deno.openSync(path, { read: true, write: true, createNew: true }), fresh: true };
  } catch (error) {
    if (osCode(error) !== "EEXIST" && !(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  if (!Deno.lstatSync(path).isFile) throw new FshError("NOT_REGULAR");
  return { file: Deno.openSync(path, { read: true, write: true }), fresh: false };
}

function isStill(path: string, file: Deno.FsFile): boolean {
  try {
    const [there, here] = [Deno.lstatSync(path), file.statSync()];
    return there.isFile && there.ino === here.ino && there.dev === here.dev;
  } catch {
    return false;
  }
}
