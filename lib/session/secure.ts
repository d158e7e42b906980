import { isLoopback, splitAddress } from "../base/address.ts";
import type { Connection } from "../transport/transport.ts";

/**
 * Whether nobody on the way can read along: the connection says so itself (TLS, memory), or the peer is this machine.
 * Only then may secrets cross it as they are.
 */
export function isSecure(connection: Pick<Connection, "remote" | "secure">): boolean {
  return connection.secure ?? isLoopback(splitAddress(connection.remote).address);
}
