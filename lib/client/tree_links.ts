import { isError } from "../base/errors.ts";
import { staysInside } from "../commands/link.ts";
import type { LinkMode, TransferEvents } from "./transfer.ts";

export interface TreeLink {
  /** As the events name it. */
  readonly path: string;
  /** Relative to the tree. */
  readonly below: string;
  /** It lies below a link that was followed already. */
  readonly followed: boolean;
}

export interface LinkActions {
  readonly readLink: () => Promise<string>;
  /** Makes the same link on the other side. */
  readonly make: (target: string) => Promise<void>;
  /** What it leads to, as far as that is in the tree. */
  readonly look: () => Promise<{ readonly type: string }>;
  readonly takeFile: () => Promise<void>;
  readonly takeFolder: () => Promise<void>;
}

/** Does with a symbolic link of a tree what was asked for. None is ever followed out of the tree. */
export async function transferLink(
  link: TreeLink,
  actions: LinkActions,
  options: { mode: LinkMode; events: TransferEvents; dryRun: boolean },
): Promise<void> {
  const { path, below, followed } = link;
  const { mode, events, dryRun } = options;
  if (mode === "skip") return events.skipped(path, "symbolic link");
  if (mode === "copy") {
    const target = await actions.readLink();
    if (!staysInside(target, below)) return events.skipped(path, "symbolic link that leads out of the tree");
    if (dryRun) return events.planned(path, 0);
    await actions.make(target);
    return events.done(path);
  }
  try {
    const { type } = await actions.look();
    if (type === "file") return await actions.takeFile();
    if (type !== "directory") return events.skipped(path, "symbolic link to a special file");
    // So no loop of links is ever walked round.
    if (followed) return events.skipped(path, "symbolic link to a folder, below another one that was followed");
    return await actions.takeFolder();
  } catch (error) {
    if (isError(error, "NOT_PERMITTED")) return events.skipped(path, "symbolic link that leads out of the tree");
    if (isError(error, "NOT_FOUND", "LINK_LOOP")) return events.skipped(path, "symbolic link that leads nowhere");
    throw error;
  }
}
