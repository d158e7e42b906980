import { isError } from "../base/errors.ts";
import { childPath, type SafePath } from "../base/virtual_path.ts";
import { command, type RequestOpener } from "../session/command.ts";
import type { Storage } from "../storage/storage.ts";
import { expect } from "./body.ts";

export const removeCommand = command({
  request: "REMOVE",
  writes: true,
  async serve(stream, { path, recursive }, { storage, guard }) {
    const target = await guard.write(path);
    const count = recursive ? await removeTree(storage, target, stream.signal) : await removeOne(storage, target);
    await stream.send("DONE", { count, skipped: 0 }, { fin: true });
  },
});

async function removeOne(storage: Storage, path: SafePath): Promise<number> {
  await storage.remove(path);
  return 1;
}

/** Tries the object itself first, so that a symbolic link is removed and never followed. */
async function removeTree(storage: Storage, path: SafePath, signal: AbortSignal): Promise<number> {
  if (signal.aborted) throw signal.reason;
  try {
    return await removeOne(storage, path);
  } catch (error) {
    if (!isError(error, "NOT_EMPTY")) throw error;
  }
  let count = 0;
  for await (const { entries } of storage.list(path)) {
    for (const { name } of entries) count += await removeTree(storage, childPath(path, name), signal);
  }
  return count + await removeOne(storage, path);
}

/** Removes a file, a symbolic link or a folder; with `recursive` a folder with all in it. Answers how many went. */
export async function remove(
  session: RequestOpener,
  path: string,
  options: { recursive?: boolean } = {},
): Promise<number> {
  return (await expect(session.open("REMOVE", { path, recursive: options.recursive ? 1 : 0 }), "DONE")).fields.count;
}
