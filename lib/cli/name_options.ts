import { DEFAULT_NAMES, NameLimit } from "../client/name_limit.ts";
import type { Args, OptionRow } from "./args.ts";
import { parseWhole } from "./values.ts";

export const NAME_OPTIONS: readonly OptionRow[] = [
  {
    name: "max-names",
    value: "N",
    default: String(DEFAULT_NAMES),
    help: "names that the server may list, in all; each folder that get makes counts as ten",
  },
];

/** @throws {FshError} USAGE */
export function nameLimit(args: Args): NameLimit {
  return new NameLimit(parseWhole("max-names", args.value("max-names"), { min: 1, max: 1e12 }));
}
