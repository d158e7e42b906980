import { FshError } from "../base/errors.ts";
import type { TransferOptions } from "../client/transfer.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import type { Progress } from "./progress.ts";
import { ReplacePrompt } from "./replace_prompt.ts";

export const REPLACE_OPTIONS: readonly OptionRow[] = [
  { name: "force", short: "f", help: "replace files that are there; otherwise they stay, or a terminal is asked" },
];

/**
 * What a get may replace on this machine. The names are the server's, and so are size and time, so nothing of what it
 * says counts as consent: only `--force`, `--update` (files that differ are what it is for), an answer at the terminal,
 * and with `--resume` the unfinished copy that a get has left which was allowed to.
 *
 * @throws {FshError} USAGE
 */
export function replaceOptions(
  args: Args,
  { environment, progress }: { environment: Environment; progress: Progress },
): Pick<TransferOptions, "noReplace" | "replaceContinued" | "mayReplace"> {
  const never = args.has("no-replace");
  if (never && args.has("force")) {
    throw new FshError("USAGE", { subject: "--force", detail: "it contradicts --no-replace" });
  }
  if (never) return { noReplace: true };
  if (args.has("force") || args.has("update")) return { noReplace: false };
  const silent = args.has("quiet") || args.has("json") || args.has("dry-run");
  const prompt = silent || !ReplacePrompt.isPossible() ? null : new ReplacePrompt(progress, environment.signal);
  return {
    noReplace: true,
    replaceContinued: args.has("resume"),
    mayReplace: prompt ? (path) => prompt.mayReplace(path) : undefined,
  };
}
