import { lookup } from "node:dns/promises";
import { FshError } from "../base/errors.ts";
import { isLoopback } from "../base/loopback.ts";
import type { OptionRow } from "./args.ts";

export const INSECURE_OPTION: OptionRow = {
  name: "insecure",
  help: "serve other machines although TLS or accounts are missing; said at every start",
};

/**
 * Refuses to serve other machines without TLS and accounts.
 *
 * @throws {FshError} USAGE, with what to add; UNKNOWN_HOST
 */
export async function refuseExposure(
  hostname: string,
  has: { readonly tls: boolean; readonly accounts: boolean; readonly insecure: boolean },
): Promise<void> {
  if (has.insecure || (has.tls && has.accounts) || await isOwn(hostname)) return;
  const missing = [
    has.tls ? null : "--tls, or everybody on the way can read along",
    has.accounts ? null : "accounts (--plugin auth-users or auth-token), or everybody may come in",
  ].filter((one) => one !== null);
  throw new FshError("USAGE", {
    subject: `--host ${hostname}`,
    detail: `other machines reach this address; add ${missing.join(", and ")}; --insecure does without`,
  });
}

/** Whether only this machine reaches the address, or all that a name stands for. */
async function isOwn(hostname: string): Promise<boolean> {
  if (isLoopback(hostname)) return true;
  try {
    const found = await lookup(hostname, { all: true });
    return found.length > 0 && found.every(({ address }) => isLoopback(address));
  } catch (cause) {
    throw new FshError("UNKNOWN_HOST", { subject: hostname, cause });
  }
}
