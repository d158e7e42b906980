import type { DnsRecord, Message, Question } from "./message.ts";
import { type AnnouncedScheme, foldName, isScheme, SERVICE_TYPES } from "./service.ts";

/** What strangers may make us remember: servers, hosts, addresses of one. Beyond that nothing new is taken. */
export const MOST_SERVERS = 1000;
const MOST_HOSTS = 2 * MOST_SERVERS;
const MOST_ADDRESSES = 16;

/** A server that announces itself. All of it is the word of whoever sent it. */
export interface Found {
  readonly name: string;
  readonly scheme: AnnouncedScheme;
  readonly port: number;
  /** Those that mean the same on every interface. */
  readonly addresses: readonly string[];
  readonly fingerprint: string | null;
  /** What its machine, or it alone, is called on the link. */
  readonly host: string;
}

/** What is known of one full name of a service. */
interface Instance {
  readonly fullName: string;
  readonly type: string;
  target: { readonly host: string; readonly port: number } | null;
  text: readonly string[] | null;
}

/** All that was heard on one link, put together. */
export class Findings {
  readonly #instances = new Map<string, Instance>();
  readonly #addresses = new Map<string, Set<string>>();

  heard({ kind, answers, additionals }: Message): void {
    if (kind !== "response") return;
    // What a pointer leads to may stand before it.
    const records = [...answers, ...additionals];
    for (const record of records) if (record.type === "PTR") this.#point(record.name, record);
    for (const record of records) this.#describe(record);
  }

  /** The servers of which enough is known to reach them. */
  get servers(): Found[] {
    return [...this.#instances.values()].flatMap((instance) => this.#foundOf(instance) ?? []);
  }

  /** Questions for what is missing. */
  get open(): Question[] {
    return [...this.#instances.values()].flatMap((instance) => {
      if (!isAskable(instance)) return [];
      if (instance.target === null || instance.text === null) return [{ name: instance.fullName, type: "ANY" }];
      return this.#addresses.has(foldName(instance.target.host)) ? [] : [{ name: instance.target.host, type: "A" }];
    });
  }

  /** Pointers that need no answer any more. */
  get known(): DnsRecord[] {
    const complete = [...this.#instances.values()].filter((one) => isAskable(one) && this.#foundOf(one) !== null);
    return complete.map(({ fullName, type }) => ({
      type: "PTR",
      name: type,
      target: fullName,
      ttl: 120,
      flush: false,
    }));
  }

  #point(name: string, { target, ttl }: { readonly target: string; readonly ttl: number }): void {
    const type = Object.values(SERVICE_TYPES).find((one) => one === foldName(name));
    const key = foldName(target);
    if (type === undefined || !key.endsWith(`.${type}`)) return;
    if (ttl === 0) this.#instances.delete(key);
    else if (!this.#instances.has(key) && this.#instances.size < MOST_SERVERS) {
      this.#instances.set(key, { fullName: target, type, target: null, text: null });
    }
  }

  #describe(record: DnsRecord): void {
    if (record.ttl === 0) return;
    const key = foldName(record.name);
    const instance = this.#instances.get(key);
    if (record.type === "A" || record.type === "AAAA") this.#address(key, record.address);
    else if (record.type === "SRV" && instance) instance.target = { host: record.target, port: record.port };
    else if (record.type === "TXT" && instance) instance.text = record.strings;
  }

  #address(host: string, address: string): void {
    if (/^fe80:/i.test(address)) return;
    const known = this.#addresses.get(host);
    if (known === undefined) {
      if (this.#addresses.size < MOST_HOSTS) this.#addresses.set(host, new Set([address]));
    } else if (known.size < MOST_ADDRESSES) known.add(address);
  }

  #foundOf(instance: Instance): Found | null {
    const { target, text } = instance;
    if (target === null || text === null || target.port === 0) return null;
    const addresses = this.#addresses.get(foldName(target.host));
    if (addresses === undefined) return null;
    const said = valueOf("scheme", text) ?? (instance.type === SERVICE_TYPES.fshq ? "fshq" : "fsh");
    if (!isScheme(said) || SERVICE_TYPES[said] !== instance.type) return null;
    const fingerprint = /^SHA256:[A-Za-z0-9+/]{43}$/.exec(valueOf("fp", text) ?? "")?.[0] ?? null;
    const { host, port } = target;
    return { name: nameIn(instance), scheme: said, port, addresses: [...addresses], fingerprint, host };
  }
}

/** The library takes every dot for the end of a label, and can't write all that it reads: line ends, what is no UTF-8. */
function isAskable(instance: Instance): boolean {
  return !/[.\\\n\r\ufffd]/.test(nameIn(instance));
}

function nameIn({ fullName, type }: Instance): string {
  return fullName.slice(0, -type.length - 1);
}

/** Of several strings with the same key the first counts, whatever the case of the key (RFC 6763, section 6.4). */
function valueOf(key: string, strings: readonly string[]): string | undefined {
  return strings.find((text) => foldName(text).startsWith(`${key}=`))?.slice(key.length + 1);
}

/** The servers of several links: one that is found on two of them counts once, with all its addresses. */
export function mergeFound(all: readonly Found[]): Found[] {
  const merged = new Map<string, Found>();
  for (const one of all) {
    const key = JSON.stringify([one.name, one.scheme, one.port, foldName(one.host)]);
    const before = merged.get(key)?.addresses ?? [];
    merged.set(key, { ...one, addresses: [...new Set([...before, ...one.addresses])] });
  }
  return [...merged.values()].sort((a, b) => compareText(a.name, b.name) || a.port - b.port);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
