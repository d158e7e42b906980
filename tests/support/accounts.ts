import type { PrivateKey } from "../../lib/base/private_key.ts";
import { makeVerifier } from "../../lib/base/scram.ts";
import type { Admission } from "../../lib/hooks/event.ts";
import type { Offer } from "../../lib/session/handshake.ts";
import type { RunningOptions } from "./running_server.ts";

export const PASSWORD = "correct horse";
export const TOKEN = "t0ken-of-the-backup";

/** Options of a server that knows one user, `an`, by password and key, and one token; and what it was asked. */
export async function accounts(
  options: { methods?: readonly string[]; key?: PrivateKey; access?: "read" | "write" } = {},
): Promise<RunningOptions & { readonly offers: Offer[] }> {
  const { methods = ["publickey", "scram-sha-256", "token", "password"], key, access = "read" } = options;
  const verifier = await makeVerifier(PASSWORD, { iterations: 4096 });
  const user = { name: "an", home: "/home", access, attributes: { team: 7 } } as const;
  const offers: Offer[] = [];
  const authenticate = (offer: Offer): Promise<Admission> => {
    offers.push(offer);
    if (offer.method === "token" && offer.token === TOKEN) return Promise.resolve({ user: { name: "backup" } });
    if (offer.user !== "an") return Promise.resolve({ allow: false });
    if (offer.method === "scram-sha-256" || offer.method === "password") return Promise.resolve({ user, verifier });
    if (offer.key !== undefined && offer.key === key?.publicKey.text) return Promise.resolve({ user });
    return Promise.resolve({ allow: false });
  };
  return { methods, authenticate, offers };
}
