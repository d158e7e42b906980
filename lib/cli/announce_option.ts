import { isLoopback } from "../base/address.ts";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Listener } from "../transport/transport.ts";
import type { Args, OptionRow } from "./args.ts";

export const ANNOUNCE_OPTION: OptionRow = {
  name: "announce",
  value: "NAME",
  help: "be found by fsh discover on the local network, under this name; otherwise nothing is announced",
};

/** A server's presence on the local network. */
export interface Presence extends AsyncDisposable {
  /** Tells the network that the server has gone. May be called again. */
  withdraw(): Promise<void>;
}

/**
 * Announces a server where --announce says so. Nothing of it is loaded otherwise.
 *
 * @throws {FshError} USAGE: a name that can't be announced, an address that no other machine reaches; ADDRESS_IN_USE
 */
export async function announceServer(
  args: Args,
  { scheme, listener, fingerprint, log }: {
    readonly scheme: string;
    readonly listener: Pick<Listener, "hostname" | "port">;
    readonly fingerprint: () => string | undefined;
    readonly log: Log;
  },
): Promise<Presence> {
  if (!args.has(ANNOUNCE_OPTION.name)) {
    return { withdraw: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const { hostname: bound, port } = listener;
  const { checkServiceName, isScheme } = await import("../discovery/service.ts");
  const name = checkServiceName(args.value(ANNOUNCE_OPTION.name));
  if (isLoopback(bound)) {
    const detail = `no other machine reaches ${bound}; name an address that they reach, as in --host 0.0.0.0`;
    throw new FshError("USAGE", { subject: `--announce ${name}`, detail });
  }
  if (!isScheme(scheme)) throw new FshError("INTERNAL", { detail: `${scheme} can't be announced` });
  const { Announcement } = await import("../discovery/announcement.ts");
  return await Announcement.start({ name, scheme, port, bound, fingerprint, log });
}
