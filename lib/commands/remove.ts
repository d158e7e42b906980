import { FshError, isError } from "../base/errors.ts";
import { childPath, type SafePath } from "../base/virtual_path.ts";
import { command, type CommandContext, type Place, type RequestOpener } from "../session/command.ts";
import type { Storage } from "../storage/storage.ts";
import { expect } from "./exchange.ts";
import { checkTree, removeChecked } from "./guarded_tree.ts";

/** Times that a folder is gone through: some file systems skip names while others of the folder go (readdir(3)). */
const PASSES = 3;

export const removeCommand = command({
  request: "REMOVE",
  writes: true,
  async serve(stream, { path, recursive }, context) {
    const { storage, guard, report } = context;
    const place = await guard.admit(path);
    const count = !recursive
      ? await removeOne(storage, place.real)
      : guard.strict
      ? await removeGuarded(place, context, stream.signal)
      : await removeUnguarded(place.real, context);
    report.committed({ place });
    await stream.send("DONE", { count, skipped: 0 }, { fin: true });
  },
});

async function removeOne(storage: Storage, path: SafePath): Promise<number> {
  await storage.remove(path);
  return 1;
}

/** Nothing goes unless all of it may: the rules are asked about the whole tree first. */
async function removeGuarded(place: Place, context: CommandContext, signal: AbortSignal): Promise<number> {
  const { storage, guard, work } = context;
  try {
    // A symbolic link is removed and never followed.
    return await removeOne(storage, place.real);
  } catch (error) {
    if (!isError(error, "NOT_EMPTY")) throw error;
  }
  const hidden = () => new FshError("NOT_EMPTY", { subject: place.asked });
  return await removeChecked(await checkTree(place, { storage, guard, signal, work, hidden }), { storage, work });
}

/** A folder that is exchanged for a symbolic link meanwhile must not lead to another one's content. */
async function removeUnguarded(
  path: SafePath,
  { storage, work }: Pick<CommandContext, "storage" | "work">,
): Promise<number> {
  const real = await storage.resolve(path, { follow: false });
  return await removeTree(real, { storage: storage.strict(), work });
}

/** Tries the object itself first, so that a symbolic link is removed and never followed. */
async function removeTree(path: SafePath, context: Pick<CommandContext, "storage" | "work">): Promise<number> {
  const { storage, work } = context;
  const turn = work.turn();
  if (turn) await turn;
  try {
    return await removeOne(storage, path);
  } catch (error) {
    if (!isError(error, "NOT_EMPTY")) throw error;
  }
  let count = 0;
  for (let pass = 1;; pass++) {
    const before = count;
    for await (const { entries } of storage.list(path)) {
      for (const { name } of entries) count += await removeTree(childPath(path, name), context);
    }
    try {
      return count + await removeOne(storage, path);
    } catch (error) {
      if (!isError(error, "NOT_EMPTY") || count === before || pass === PASSES) throw error;
    }
  }
}

/** Removes a file, a symbolic link or a folder; with `recursive` a folder with all in it. Answers how many went. */
export async function remove(
  session: RequestOpener,
  path: string,
  options: { recursive?: boolean } = {},
): Promise<number> {
  return (await expect(session.open("REMOVE", { path, recursive: options.recursive ? 1 : 0 }), "DONE")).fields.count;
}
