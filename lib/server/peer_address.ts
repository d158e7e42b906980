import { isLoopback, splitAddress } from "../base/address.ts";

/** What is counted together as one peer. */
export interface PeerAddress {
  /** An IPv4 address, or the /64 of an IPv6 one: whoever has one address of it mostly has all. */
  readonly key: string;
  /** Of this machine, where many share an address: tunnels and proxies among them. */
  readonly local: boolean;
}

/** `remote`: as for `splitAddress`. */
export function peerAddress(remote: string): PeerAddress {
  const address = splitAddress(remote).address.toLowerCase();
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(address)?.[1];
  const v4 = mapped ?? (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) ? address : null);
  if (v4 !== null) return { key: v4, local: isLoopback(v4) };
  if (!address.includes(":")) return { key: address, local: true };
  return { key: `${network(address)}::/64`, local: isLoopback(address) };
}

/** The first 64 bits, `::` written out. */
function network(address: string): string {
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: missing }, () => "0"), ...after].slice(0, 4).join(":");
}
