import { FshError } from "../../lib/plugin.ts";
import ipaddr from "ipaddr.js";

/** Addresses that are remembered; when there are more, the one that was quiet for longest is forgotten. */
export const MAX_ADDRESSES = 100_000;

/** What an address counts as: an IPv4 address by itself, IPv6 by its /64, which one customer usually has. */
export function addressKey(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === null) return address;
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return parsed.parts.slice(0, 4).map((part) => part.toString(16)).join(":") + "::/64";
}

/** IPv4 within IPv6 is IPv4, and a zone (`%eth0`) does not matter; null for what is no address. */
function parseAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  return ipaddr.isValid(address) ? ipaddr.process(address) : null;
}

/** Addresses and ranges such as `192.0.2.0/24` or `2001:db8::/32`. */
export class AddressRanges {
  readonly #ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @throws {FshError} USAGE, naming what is neither an address nor a range */
  constructor(list: readonly string[]) {
    this.#ranges = list.map((text) => {
      if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
      const one = ipaddr.IPv4.isValidFourPartDecimal(text) || text.includes(":") ? parseAddress(text) : null;
      if (one !== null) return [one, one instanceof ipaddr.IPv4 ? 32 : 128];
      throw new FshError("USAGE", {
        subject: `option exempt=${text}`,
        detail: "it takes addresses such as 192.0.2.7 and ranges such as 192.0.2.0/24 or 2001:db8::/32",
      });
    });
  }

  has(address: string): boolean {
    const parsed = parseAddress(address);
    if (parsed === null) return false;
    return this.#ranges.some(([base, bits]) =>
      parsed instanceof ipaddr.IPv4
        ? base instanceof ipaddr.IPv4 && parsed.match(base, bits)
        : base instanceof ipaddr.IPv6 && parsed.match(base, bits)
    );
  }
}

/** What is known of an address; times in milliseconds. */
export interface AddressRecord {
  /** When logins failed, the latest last. */
  failures: number[];
  /** Connections of this minute and of the one before. */
  minute: number;
  connects: number;
  before: number;
  bannedUntil: number;
}

/** Records by address, at most MAX_ADDRESSES. */
export class AddressTable {
  readonly #records = new Map<string, AddressRecord>();
  readonly #max: number;

  constructor(max = MAX_ADDRESSES) {
    this.#max = max;
  }

  get size(): number {
    return this.#records.size;
  }

  peek(key: string): AddressRecord | undefined {
    return this.#records.get(key);
  }

  /** The record of an address, a new one if need be; it becomes the youngest. */
  touch(key: string): AddressRecord {
    const record = this.#records.get(key) ?? { failures: [], minute: 0, connects: 0, before: 0, bannedUntil: 0 };
    this.#records.delete(key);
    this.#records.set(key, record);
    if (this.#records.size > this.#max) {
      const oldest = this.#records.keys().next();
      if (!oldest.done) this.#records.delete(oldest.value);
    }
    return record;
  }
}
