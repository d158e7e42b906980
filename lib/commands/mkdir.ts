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
  const missing: SafePath[] = [];
  for (let folder = path; folder !== ROOT; folder = parentPath(folder)) {
    missing.push(folder);
    if (await makeFolder(storage, folder)) break;
  }
  // The first of them was made, or is there; now those below it, downward.
  missing.pop();
  for (const folder of missing.reverse()) {
    if (!await makeFolder(storage, folder)) throw new FshError("NOT_FOUND", { subject: folder });
  }
  if (path !== ROOT && missing.length === 0 && (await storage.stat(path)).type !== "directory") {
    throw new FshError("NOT_DIRECTORY", { subject: path });
  }
}

/** False where the folder above is missing. */
async function makeFolder(storage: Storage, path: SafePath): Promise<boolean> {
  try {
    await storage.mkdir(path);
    return true;
  } catch (error) {
    if (isError(error, "NOT_FOUND")) return false;
    if (isError(error, "EXISTS")) return true;
    throw error;
  }
}

export async function mkdir(session: RequestOpener, path: string, options: { parents?: boolean } = {}): Promise<void> {
  await expect(session.open("MKDIR", { path, options: options.parents ? OPTION_PARENTS : 0 }), "DONE");
}
