import { encodeUtf8, printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { DnsRecord } from "./message.ts";

/** Types of service (RFC 6763, section 4.1.2), by the URL's scheme: what is below it is told by the last label but one. */
export const SERVICE_TYPES = {
  fsh: "_fsh._tcp.local",
  fshs: "_fsh._tcp.local",
  fshq: "_fsh._udp.local",
} as const;
export type AnnouncedScheme = keyof typeof SERVICE_TYPES;

/** What lists all the types that there are (RFC 6763, section 9). */
export const TYPE_LIST = "_services._dns-sd._udp.local";

/** Seconds for which others may remember a record that names a host, as RFC 6762, section 10, has it; here: all of them. */
const REMEMBERED = 120;
/** Addresses of one link in one message, so that it stays below the length of a question of `fsh discover`. */
const MOST_ADDRESSES = 8;
/** RFC 1035, section 2.3.4. */
const MOST_LABEL_BYTES = 63;

/** What a server says of itself. */
export interface Service {
  readonly name: string;
  readonly scheme: AnnouncedScheme;
  readonly port: number;
  /** Of its certificate, as `Certificate.fingerprint` has it. */
  readonly fingerprint: string | undefined;
  /** What it is called on the link, for nobody to read: a random name that no other machine has. */
  readonly host: string;
  readonly addresses: readonly string[];
}

export function isScheme(text: string): text is AnnouncedScheme {
  return Object.hasOwn(SERVICE_TYPES, text);
}

/** The full name of a service. */
export function instanceOf({ name, scheme }: Pick<Service, "name" | "scheme">): string {
  return `${name}.${SERVICE_TYPES[scheme]}`;
}

/** Groups of records that are asked for, and sent, together. */
export type Part = "types" | "pointer" | "target" | "text" | "addresses";

export function recordsOf(service: Service, part: Part): DnsRecord[] {
  const name = instanceOf(service);
  const type = SERVICE_TYPES[service.scheme];
  const shared = { ttl: REMEMBERED, flush: false };
  const own = { ttl: REMEMBERED, flush: true };
  switch (part) {
    case "types":
      return [{ ...shared, type: "PTR", name: TYPE_LIST, target: type }];
    case "pointer":
      return [{ ...shared, type: "PTR", name: type, target: name }];
    case "target":
      return [{ ...own, type: "SRV", name, port: service.port, target: service.host }];
    case "text":
      return [{ ...own, type: "TXT", name, strings: stringsOf(service) }];
    case "addresses":
      return service.addresses.slice(0, MOST_ADDRESSES).map((address) => ({
        ...own,
        type: address.includes(":") ? "AAAA" : "A",
        name: service.host,
        address,
      }));
  }
}

/** `key=value` (RFC 6763, section 6); the version of these keys comes first. */
function stringsOf({ scheme, fingerprint }: Service): string[] {
  return ["txtvers=1", `scheme=${scheme}`, ...fingerprint === undefined ? [] : [`fp=${fingerprint}`]];
}

/** Names of DNS are the same whatever the case of their ASCII letters (RFC 6762, section 16). */
export function sameName(a: string, b: string): boolean {
  return foldName(a) === foldName(b);
}

export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** @throws {FshError} USAGE unless servers can be found by this name */
export function checkServiceName(name: string): string {
  const wrong = (detail: string) => new FshError("USAGE", { subject: `--announce ${printable(name)}`, detail });
  const normal = name.toWellFormed().normalize("NFC");
  if (normal.trim() === "") throw wrong("a name has something to read in it");
  if (printable(normal) !== normal) throw wrong("a name has no control characters");
  if (/[.\\]/.test(normal)) throw wrong("a name has neither dots nor backslashes, which DNS takes for its own");
  const { length } = encodeUtf8(normal);
  if (length > MOST_LABEL_BYTES) {
    throw wrong(`a name has up to ${MOST_LABEL_BYTES} bytes of UTF-8; this one has ${length}`);
  }
  return normal;
}

/** `name (2)` and so on: what a server is called whose name is taken (RFC 6763, appendix D). */
export function numberedName(name: string, number: number): string {
  const end = ` (${number})`;
  const letters = [...name];
  while (encodeUtf8(letters.join("")).length + end.length > MOST_LABEL_BYTES) letters.pop();
  return letters.join("") + end;
}
