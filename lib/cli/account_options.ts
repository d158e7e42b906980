import { parseExpiry, parseHome } from "../hooks/account.ts";
import type { Args, OptionRow } from "./args.ts";
import { parseChoice } from "./values.ts";

/** What both users and tokens may be given. */
export const ACCOUNT_OPTIONS: readonly OptionRow[] = [
  { name: "home", value: "PATH", help: "folder in the served one that becomes /; / takes it back" },
  { name: "access", value: "KIND", help: "read or write (which includes reading); without it: write" },
  { name: "expires", value: "WHEN", help: "2031-12-31 (its beginning, UTC), a time from now such as 30d, or never" },
];

/** What the command line says of an account. */
export interface AccountChange {
  /** null takes it back; undefined leaves it. */
  readonly home?: string | null;
  readonly access?: "read" | "write";
  readonly expires?: string | null;
}

/** The options of ACCOUNT_OPTIONS. */
export function accountOf(args: Args): AccountChange {
  const home = args.has("home") ? parseHome(args.value("home")) : undefined;
  return {
    ...(home === undefined ? {} : { home: home === "/" ? null : home }),
    ...(args.has("access") ? { access: parseChoice("access", args.value("access"), ["read", "write"]) } : {}),
    ...(args.has("expires") ? { expires: parseExpiry(args.value("expires")) } : {}),
  };
}
