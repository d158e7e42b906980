import { FshError, isError } from "../base/errors.ts";
import { childPath, type SafePath } from "../base/virtual_path.ts";
import type { CommandContext, PathGuard, Place, Work } from "../session/command.ts";
import type { Storage, Stored } from "../storage/storage.ts";

/** Most objects that one request may look through before it does something to all of them. */
const MOST_OBJECTS = 1_000_000;

/** Something in a folder that the client may know of. */
export interface Visible {
  readonly info: Stored;
  readonly place: Place;
}

/** A folder's names as far as they are visible, page by page. That it may be read was asked before. */
export async function* visible(
  folder: Place,
  context: Pick<CommandContext, "storage" | "guard">,
  command?: string,
): AsyncIterable<{ found: Visible[]; hidden: number; skipped: number }> {
  for await (const { entries, skipped } of context.storage.list(folder.real)) {
    const places = await context.guard.below(folder, entries.map(({ name }) => name), command);
    const found: Visible[] = [];
    for (const [at, info] of entries.entries()) {
      const place = places[at];
      if (place) found.push({ info, place });
    }
    yield { found, hidden: entries.length - found.length, skipped };
  }
}

/**
 * As `walk` of the storage, by the rules: hidden objects are left out, and of folders that may not be listed only the name
 * is given, which counts as skipped.
 */
export async function* walkVisible(
  folder: Place,
  context: Pick<CommandContext, "storage" | "guard">,
): AsyncIterable<{ found: Visible[]; skipped: number }> {
  for await (const { found, skipped } of visible(folder, context)) {
    yield { found, skipped };
    const folders = found.filter(({ info }) => info.type === "directory");
    const refusals = await context.guard.allow(folders);
    for (const [at, { place }] of folders.entries()) {
      if (refusals[at]) {
        yield { found: [], skipped: 1 };
        continue;
      }
      try {
        yield* walkVisible(place, context);
      } catch {
        yield { found: [], skipped: 1 };
      }
    }
  }
}

/** A folder in which everything was asked about. */
export interface CheckedFolder {
  readonly place: Place;
  /** Of what is no folder. */
  readonly names: string[];
  readonly folders: CheckedFolder[];
}

export interface CheckOptions {
  readonly storage: Storage;
  readonly guard: PathGuard;
  readonly signal: AbortSignal;
  readonly work: Work;
  /** The error for what the client may not even know of. */
  readonly hidden: () => FshError;
  /** Where all of it would go. */
  readonly target?: Place;
}

/**
 * Asks about everything below a folder, whatever the client may see of it, and changes nothing.
 *
 * @throws {FshError} the first refusal, `hidden`, NOT_DIRECTORY where the place is no folder, TOO_LARGE
 */
export async function checkTree(folder: Place, options: CheckOptions): Promise<CheckedFolder> {
  let left = MOST_OBJECTS;
  const check = async (folder: Place, target: Place | undefined): Promise<CheckedFolder> => {
    const checked: CheckedFolder = { place: folder, names: [], folders: [] };
    for await (const { found, hidden, skipped } of visible(folder, options)) {
      const turn = options.work.turn();
      if (turn) await turn;
      options.signal.throwIfAborted();
      if (hidden > 0 || skipped > 0) throw options.hidden();
      left -= found.length;
      if (left < 0) throw new FshError("TOO_LARGE", { subject: folder.asked, detail: `over ${MOST_OBJECTS} objects` });
      const targets = await allowAll(found, target, options);
      for (const [at, { info, place }] of found.entries()) {
        if (info.type !== "directory") checked.names.push(info.name);
        else checked.folders.push(await check(place, targets?.[at]));
      }
    }
    return checked;
  };
  return await check(folder, options.target);
}

/** Asks about a page of objects and, where they go somewhere, about the other end; answers that. */
async function allowAll(
  found: readonly Visible[],
  target: Place | undefined,
  { guard, hidden }: CheckOptions,
): Promise<Place[] | undefined> {
  const targets = target && await guard.below(target, found.map(({ info }) => info.name));
  const known = targets?.map((place) => {
    if (!place) throw hidden();
    return place;
  });
  const wishes = found.map(({ place }, at) => {
    const target = known?.[at];
    return target ? { place, target } : { place };
  });
  for (const refusal of await guard.allow([...wishes, ...(known ?? []).map((place) => ({ place }))])) {
    if (refusal) throw refusal;
  }
  return known;
}

/** Removes what was asked about and nothing else; what came meanwhile is in the way (NOT_EMPTY). Answers how many went. */
export async function removeChecked(
  { place, names, folders }: CheckedFolder,
  context: { readonly storage: Storage; readonly work: Work },
): Promise<number> {
  const { storage, work } = context;
  let count = 0;
  for (const folder of folders) count += await removeChecked(folder, context);
  for (const name of names) {
    const turn = work.turn();
    if (turn) await turn;
    if (await removeIfThere(storage, childPath(place.real, name))) count++;
  }
  return await removeIfThere(storage, place.real) ? count + 1 : count;
}

/** False where somebody else was faster. */
async function removeIfThere(storage: Storage, path: SafePath): Promise<boolean> {
  try {
    await storage.remove(path);
    return true;
  } catch (error) {
    if (isError(error, "NOT_FOUND")) return false;
    throw error;
  }
}
