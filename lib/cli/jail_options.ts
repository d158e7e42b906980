import type { Log } from "../base/log.ts";
import { native } from "../native/load.ts";
import type { LocalOptions } from "../storage/local.ts";
import type { Args, OptionRow } from "./args.ts";

/** Options of `serve` that draw the served folder's bounds tighter. */
export const JAIL_OPTIONS = [
  { name: "no-hardlinks", help: "refuse to read or replace files that have another name besides" },
  { name: "one-file-system", help: "refuse whatever is mounted below the folder" },
] as const satisfies readonly OptionRow[];

export function jailOptions(args: Args): Pick<LocalOptions, "noHardLinks" | "oneFileSystem"> {
  return { noHardLinks: args.has("no-hardlinks"), oneFileSystem: args.has("one-file-system") };
}

/** Says at the start what holds paths in the folder where the kernel does not, and why not. */
export function warnUnconfined(log: Log): void {
  const { unconfined } = native();
  if (unconfined === null) return;
  log.warn(
    "paths are checked before use and not confined by the kernel: a user of this machine who may write in the folder " +
      "could lead a request out of it by exchanging a folder for a link in between",
    { missing: unconfined },
  );
}
