import { DIGEST_ALGORITHMS } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { TransferOptions } from "../client/transfer.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import type { Progress } from "./progress.ts";
import { parseChoice } from "./values.ts";

/** Options that `get` and `put` share. */
export const TRANSFER_OPTIONS: readonly OptionRow[] = [
  { name: "no-replace", short: "n", help: "refuse rather than replace a file" },
  { name: "preserve", short: "p", help: "keep permission bits (times are kept anyway)" },
  {
    name: "checksum",
    value: "NAME",
    default: "crc32",
    help: "digest that both sides compare at the end: crc32, sha256 or none",
  },
];

export function transferOptions(args: Args, environment: Environment, progress: Progress): TransferOptions {
  return {
    events: progress,
    signal: environment.signal,
    algorithm: parseChoice("checksum", args.value("checksum"), DIGEST_ALGORITHMS),
    noReplace: args.has("no-replace"),
    preserve: args.has("preserve"),
  };
}

/** Sums up and answers the exit status: 0, what the only failure says, or 7 for some of several. */
export function finishTransfer(progress: Progress, operands: number, args: Args): number {
  const algorithm = args.value("checksum");
  progress.finish(algorithm === "none" ? "nothing compared" : `${algorithm} agrees`);
  const [first] = progress.failures;
  if (!first) return 0;
  const allFailedAlike = progress.files === 0 && progress.failures.length === operands &&
    progress.failures.every((failure) => failure.exit === first.exit);
  return allFailedAlike ? first.exit : 7;
}

/** Several operands into one folder: two of one name would overwrite each other. */
export function refuseSameNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (name !== "-" && seen.has(name)) {
      throw new FshError("USAGE", { subject: name, detail: "two of this name would go into one folder" });
    }
    seen.add(name);
  }
}
