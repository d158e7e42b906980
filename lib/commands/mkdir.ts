import { FshError, isError } from "../base/errors.ts";
import { parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { command, type RequestOpener } from "../session/command.ts";
import type { Storage } from "../storage/storage.ts";
import { OPTION_PARENTS } from "../wire/frames.ts";
import { expect } from "./body.ts";

export const mkdirCommand = command({
  request: "MKDIR",
  writes: true,
  async serve(stream, { path, options }, { storage, guard }) {
    const folder = await guard.write(path);
    if (options & OPTION_PARENTS) await makeFolders(storage, folder);
    else await storage.mkdir(folder);
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

/** Makes a folder and those above it that are missing; one that is there is fine, also if made meanwhile. */
export async function makeFolders(storage: Storage, path: SafePath): Promise<void> {
  if (path === ROOT) return;
  try {
    await storage.mkdir(path);
  } catch (error) {
    if (isError(error, "NOT_FOUND")) {
      await makeFolders(storage, parentPath(path));
      return await makeFolders(storage, path);
    }
    if (!isError(error, "EXISTS")) throw error;
    if ((await storage.stat(path)).type !== "directory") throw new FshError("NOT_DIRECTORY", { subject: path });
  }
}

export async function mkdir(session: RequestOpener, path: string, options: { parents?: boolean } = {}): Promise<void> {
  await expect(session.open("MKDIR", { path, options: options.parents ? OPTION_PARENTS : 0 }), "DONE");
}
