import { FshError, isError, toFshError } from "../base/errors.ts";
import type { FileWriter, WriteOptions } from "../storage/storage.ts";
import type { LocalPlace, TransferOptions } from "./transfer.ts";

export type ReplaceOptions = Pick<TransferOptions, "noReplace" | "replaceContinued" | "mayReplace" | "continue">;

/** How a file that comes may take its place. */
export interface Entitlement {
  /** For the storage: refuse what has that name by then. */
  readonly noReplace: boolean;
  /** The unfinished copy that is gone on with, where that is what allows it. */
  readonly writer: FileWriter | null;
}

/**
 * Finds out, before a byte moves, whether a file may take its place. What lies there stays unless the user said
 * otherwise, beforehand or now: the name of what comes is the server's.
 *
 * @throws {FshError} EXISTS, IS_DIRECTORY, naming the place
 */
export async function entitle(
  place: LocalPlace,
  options: ReplaceOptions,
  part?: WriteOptions["part"],
): Promise<Entitlement> {
  const noReplace = options.noReplace ?? false;
  if (!noReplace || !await isTaken(place)) return { noReplace, writer: null };
  const obstacle = await whatIsThere(place);
  if (obstacle === null) return { noReplace, writer: null };
  if (!isError(obstacle, "EXISTS")) throw obstacle;
  if (options.continue && options.replaceContinued && part) {
    // A part is left only by a get that was allowed to take this place.
    const writer = await place.storage.openWrite(place.path, { part });
    if (writer.offset > 0) return { noReplace: false, writer };
    await writer.abort();
  }
  if (await options.mayReplace?.(obstacle.subject ?? place.path)) return { noReplace: false, writer: null };
  throw refusal(obstacle);
}

/** An error about what lies in the way, with what to do. */
export function refusal(error: FshError): FshError {
  if (!isError(error, "EXISTS") || error.remote) return error;
  return new FshError("EXISTS", { subject: error.subject, detail: "--force replaces it", cause: error });
}

/** Whether anything has the name, a symbolic link that leads nowhere included. */
async function isTaken({ storage, path }: LocalPlace): Promise<boolean> {
  try {
    await storage.readLink(path);
    return true;
  } catch (error) {
    if (isError(error, "NOT_LINK")) return true;
    // Whatever else is wrong, writing will say it better.
    return false;
  }
}

/** The storage's own word for what lies there; null where it has gone meanwhile. */
async function whatIsThere({ storage, path }: LocalPlace): Promise<FshError | null> {
  try {
    await (await storage.openWrite(path, { noReplace: true })).abort();
    return null;
  } catch (error) {
    return toFshError(error);
  }
}
