import { FshError } from "../base/errors.ts";
import { isLoopback } from "../base/address.ts";
import type { OptionRow } from "./args.ts";

export const INSECURE_OPTION: OptionRow = {
  name: "insecure",
  help: "serve other machines although TLS or accounts are missing; said at every start",
};

/**
 * Refuses to serve other machines without TLS and accounts. What counts is the numeric address that is bound, not the
 * name that was `asked` for: another look at a name may give another answer.
 *
 * @throws {FshError} USAGE, with what to add
 */
export function refuseExposure(
  { asked, bound }: { readonly asked: string; readonly bound: string },
  has: { readonly tls: boolean; readonly accounts: boolean; readonly insecure: boolean },
): void {
  if (has.insecure || (has.tls && has.accounts) || isLoopback(bound)) return;
  const missing = [
    has.tls ? null : "--tls, or everybody on the way can read along",
    has.accounts ? null : "accounts (--plugin auth-users or auth-token), or everybody may come in",
  ].filter((one) => one !== null);
  throw new FshError("USAGE", {
    subject: `--host ${asked}`,
    detail: `other machines reach this address; add ${missing.join(", and ")}; --insecure does without`,
  });
}
