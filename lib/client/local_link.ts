import { FshError, isError } from "../base/errors.ts";
import { baseName, childPath, isWithin, parentPath, relativePath, type SafePath } from "../base/virtual_path.ts";
import { staysInside } from "../commands/link.ts";
import { refusal } from "./replacing.ts";
import type { LocalPlace, TransferOptions } from "./transfer.ts";

export interface LinkPlace {
  readonly tree: LocalPlace;
  readonly path: SafePath;
}

/**
 * Makes a symbolic link of a tree on this side. Nobody here would follow it out of the tree, but other programs would:
 * so what counts is where the link really lies, which other links on the way to it may have changed.
 *
 * @throws {FshError} NOT_PERMITTED where it would lead out of the tree, EXISTS
 */
export async function makeLink(
  { tree, path }: LinkPlace,
  target: string,
  options: Pick<TransferOptions, "noReplace" | "mayReplace">,
): Promise<void> {
  const { storage } = tree;
  const leadsOut = new FshError("NOT_PERMITTED", { subject: path, detail: "the link would lead out of the tree" });
  const folder = await storage.resolve(parentPath(path), { follow: true });
  const real = childPath(folder, baseName(path));
  if (!isWithin(folder, tree.path) || !staysInside(target, relativePath(tree.path, real))) throw leadsOut;
  if (await says(tree, real) === target) return;
  await link(tree, real, { target, ...options });
  const left = await storage.stat(real).then(() => false, (error) => isError(error, "NOT_PERMITTED"));
  if (!left) return;
  await storage.remove(real);
  throw leadsOut;
}

async function link(
  { storage }: LocalPlace,
  path: SafePath,
  options: { target: string } & Pick<TransferOptions, "noReplace" | "mayReplace">,
): Promise<void> {
  const { target, noReplace = false, mayReplace } = options;
  try {
    await storage.symlink(path, target, { noReplace });
  } catch (error) {
    if (!isError(error, "EXISTS") || !noReplace) throw error;
    if (!await mayReplace?.(error.subject ?? path)) throw refusal(error);
    await storage.symlink(path, target);
  }
}

/** What a link says; null where there is none. */
async function says({ storage }: LocalPlace, path: SafePath): Promise<string | null> {
  try {
    return await storage.readLink(path);
  } catch {
    return null;
  }
}
