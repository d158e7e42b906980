import type { Room } from "../base/arena.ts";
import { forEachBounded } from "../base/concurrency.ts";
import { type FshError, toFshError } from "../base/errors.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { NewFile, SmallFile, Storage } from "./storage.ts";

/** Files written at once where each takes its own way to the disk. */
const AT_ONCE = 16;

/** `readSmall` for one file of a storage that has no shorter way. */
export async function readWhole(
  storage: Pick<Storage, "openRead">,
  path: SafePath,
  options: { limit: number; room: Room },
): Promise<SmallFile | FshError> {
  const { limit, room } = options;
  try {
    const reader = await storage.openRead(path);
    try {
      const { info } = reader;
      if (info.size > limit) return { info, content: null };
      const content = room.take(info.size);
      let at = 0;
      for (let read; at < content.length && (read = await reader.read(content.subarray(at))) !== null;) at += read;
      return { info: { ...info, size: at }, content: content.subarray(0, at) };
    } finally {
      reader.close();
    }
  } catch (error) {
    return toFshError(error);
  }
}

/** `writeSmall` for a storage that has no shorter way. */
export async function writeEach(
  storage: Pick<Storage, "openWrite">,
  files: readonly NewFile[],
  options: { readonly noReplace?: boolean } = {},
): Promise<(FshError | null)[]> {
  const failures: (FshError | null)[] = files.map(() => null);
  await forEachBounded(files.entries(), { count: AT_ONCE, weight: Infinity, weigh: () => 1 }, async ([index, file]) => {
    try {
      await writeWhole(storage, file, options);
    } catch (error) {
      failures[index] = toFshError(error);
    }
  });
  return failures;
}

async function writeWhole(
  storage: Pick<Storage, "openWrite">,
  file: NewFile,
  options: { readonly noReplace?: boolean },
): Promise<void> {
  const writer = await storage.openWrite(file.path, { ...options, size: file.content.length });
  try {
    if (file.content.length > 0) await writer.write(file.content);
    await writer.commit(file);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
