import type { Connection } from "../transport/transport.ts";

/**
 * Whether nobody on the way can read along: the connection says so itself (TLS, memory), or the peer is this machine.
 * Only then may secrets cross it as they are.
 */
export function isSecure(connection: Pick<Connection, "remote" | "secure">): boolean {
  return connection.secure ?? isLoopback(connection.remote);
}

/** `remote`: `address:port`, with brackets around an IPv6 address. */
export function isLoopback(remote: string): boolean {
  const address = remote.slice(0, remote.lastIndexOf(":")).replace(/^\[|\]$/g, "").toLowerCase();
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address);
}
