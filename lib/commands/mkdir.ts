import { FshError, isError } from "../base/errors.ts";
import { parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { command, type CommandContext, type Place, type RequestOpener } from "../session/command.ts";
import type { Storage } from "../storage/storage.ts";
import { OPTION_PARENTS } from "../wire/frames.ts";
import { expect } from "./exchange.ts";

export const mkdirCommand = command({
  request: "MKDIR",
  writes: true,
  async serve(stream, { path, options }, context) {
    const { storage, guard, report } = context;
    const parents = (options & OPTION_PARENTS) !== 0;
    // A link to a folder is as good as one that is there.
    const folder = await guard.admit(path, { follow: parents });
    if (parents) await makePlaces(folder, context);
    else {
      await storage.mkdir(folder.real);
      report.committed({ place: folder });
    }
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

/** As `makeFolders`, for a request: each folder that is missing must be allowed before any is made. */
export async function makePlaces(folder: Place, context: CommandContext): Promise<void> {
  const { storage, report } = context;
  const places = new Map<SafePath, Place>([[folder.real, folder]]);
  let lowest = folder;
  await makeFolders(storage, folder.real, {
    before: async (real) => {
      // Asked for upward, one after the other.
      if (places.has(real)) return;
      places.set(real, lowest = await placeAbove(lowest, context));
    },
    made: (real) => report.committed({ place: places.get(real), command: "mkdir" }),
  });
}

/** The folder above a place, for a request that has to make it first. */
export async function placeAbove(place: Place, { guard }: CommandContext): Promise<Place> {
  const above = await guard.admit(parentPath(place.asked), { command: "mkdir", write: true, follow: true });
  // The rules lead it elsewhere: what is missing is none of the client's folders.
  if (above.real !== parentPath(place.real)) throw new FshError("NOT_FOUND", { subject: place.asked });
  return above;
}

export interface MakeFoldersOptions {
  /** Called before a folder is touched; what it rejects with ends it. */
  readonly before?: (folder: SafePath) => Promise<void>;
  /** Called for each folder that was not there. */
  readonly made?: (folder: SafePath) => void;
}

/** Makes a folder and those above it that are missing; one that is there is fine, also if made meanwhile. */
export async function makeFolders(storage: Storage, path: SafePath, options: MakeFoldersOptions = {}): Promise<void> {
  const missing: SafePath[] = [];
  for (let folder = path; folder !== ROOT; folder = parentPath(folder)) {
    missing.push(folder);
    await options.before?.(folder);
    if (await makeFolder(storage, folder, options)) break;
  }
  // The first of them was made, or is there; now those below it, downward.
  missing.pop();
  for (const folder of missing.reverse()) {
    if (!await makeFolder(storage, folder, options)) throw new FshError("NOT_FOUND", { subject: folder });
  }
  if (path !== ROOT && missing.length === 0 && (await storage.stat(path)).type !== "directory") {
    throw new FshError("NOT_DIRECTORY", { subject: path });
  }
}

/** False where the folder above is missing. */
async function makeFolder(storage: Storage, path: SafePath, { made }: MakeFoldersOptions): Promise<boolean> {
  try {
    await storage.mkdir(path);
    made?.(path);
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
