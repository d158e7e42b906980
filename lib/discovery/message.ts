import { Buffer } from "node:buffer";
import packet, { type Entry } from "dns-packet";

/**
 * Longest message, in bytes, that is looked at: what fits into a frame of Ethernet (1500) behind the headers of IP (20)
 * and UDP (8). RFC 6762, section 17, allows more only for single records that are larger, and those of interest are not.
 */
export const MOST_BYTES = 1472;
/** The least that an entry of a message takes: a question for the root has a name of one byte, type and class. */
const LEAST_ENTRY = 5;
const AUTHORITATIVE = 1 << 10;

/** A record of a type that matters here. `ttl` in seconds; 0 takes it back. `flush`: nobody else has one by this name. */
export type DnsRecord =
  & { readonly name: string; readonly ttl: number; readonly flush: boolean }
  & (
    | { readonly type: "PTR"; readonly target: string }
    | { readonly type: "SRV"; readonly port: number; readonly target: string }
    | { readonly type: "TXT"; readonly strings: readonly string[] }
    | { readonly type: "A" | "AAAA"; readonly address: string }
  );

/** A question of class IN. `type` is any that the library names, such as ANY. */
export interface Question {
  readonly name: string;
  readonly type: string;
}

export interface Message {
  readonly kind: "query" | "response";
  readonly questions: readonly Question[];
  /** Of a query: what it knows already. */
  readonly answers: readonly DnsRecord[];
  /** Of a query: what it wants to be the owner of. */
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

/**
 * Reads a message of a stranger's; null: there is nothing in it to act on (RFC 6762, section 18: malformed, another
 * operation, an error), or it is too long.
 */
export function decodeMessage(bytes: Uint8Array): Message | null {
  if (bytes.length > MOST_BYTES || bytes.length < 12 || claimed(bytes) * LEAST_ENTRY > bytes.length) return null;
  try {
    const { type, opcode, rcode, ...sections } = packet.decode(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    );
    if (opcode !== "QUERY" || rcode !== "NOERROR") return null;
    const records = (entries: readonly Entry[] = []) => entries.map(recordOf).filter((one) => one !== null);
    return {
      kind: type,
      questions: (sections.questions ?? []).filter(isInternet).map(({ name, type }) => ({ name, type })),
      answers: records(sections.answers),
      authorities: records(sections.authorities),
      additionals: records(sections.additionals),
    };
  } catch {
    return null;
  }
}

/** Entries that the header (RFC 1035, section 4.1.1) announces; the library would make room for all of them. */
function claimed(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint16(4) + view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
}

/** Class IN or ANY, with or without the bit that asks for an answer by unicast, which nobody gets here. */
function isInternet({ class: name }: Entry): boolean {
  return name === "IN" || name === "ANY" || name === "UNKNOWN_32769" || name === "UNKNOWN_33023";
}

function recordOf(entry: Entry): DnsRecord | null {
  const { name, ttl = 0, flush = false, data } = entry;
  const head = { name, ttl, flush };
  if (entry.class !== "IN") return null;
  if (entry.type === "PTR" && typeof data === "string") return { ...head, type: "PTR", target: data };
  if ((entry.type === "A" || entry.type === "AAAA") && typeof data === "string") {
    return { ...head, type: entry.type, address: data };
  }
  if (entry.type === "SRV" && isService(data)) {
    return { ...head, type: "SRV", port: data.port, target: data.target };
  }
  if (entry.type === "TXT" && Array.isArray(data)) return { ...head, type: "TXT", strings: data.map(String) };
  return null;
}

function isService(data: unknown): data is { port: number; target: string } {
  return typeof data === "object" && data !== null && "port" in data && typeof data.port === "number" &&
    "target" in data && typeof data.target === "string";
}

/** What is to be sent; `padTo`: so many bytes at least, by the padding option of RFC 7830. */
export interface Outgoing {
  readonly kind: "query" | "response";
  readonly questions?: readonly Question[];
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
  readonly padTo?: number;
}

export function encodeMessage({ kind, padTo = 0, ...sections }: Outgoing): Uint8Array<ArrayBuffer> {
  const plain = {
    type: kind,
    flags: kind === "response" ? AUTHORITATIVE : 0,
    questions: sections.questions ?? [],
    answers: (sections.answers ?? []).map(entryOf),
    authorities: (sections.authorities ?? []).map(entryOf),
    additionals: (sections.additionals ?? []).map(entryOf),
  };
  const bytes = packet.encode(plain);
  // The record OPT takes 11 bytes, its option 4 more.
  const missing = padTo - bytes.length - 15;
  if (missing < 0) return bytes;
  const padding = { name: ".", type: "OPT", options: [{ code: "PADDING", length: missing }] };
  return packet.encode({ ...plain, additionals: [...plain.additionals, padding] });
}

function entryOf(record: DnsRecord): Entry {
  const { name, type, ttl, flush } = record;
  return { name, type, ttl, flush, class: "IN", data: dataOf(record) };
}

function dataOf(record: DnsRecord): unknown {
  switch (record.type) {
    case "PTR":
      return record.target;
    case "SRV":
      return { port: record.port, target: record.target };
    case "TXT":
      return record.strings.map((text) => Buffer.from(text));
    default:
      return record.address;
  }
}

/**
 * Which of two sets of records for one name comes first (RFC 6762, section 8.2.1): they are sorted by type and data, and
 * the first difference counts. Below 0: `a`; above 0: `b`; 0: they are the same.
 */
export function compareClaims(a: readonly DnsRecord[], b: readonly DnsRecord[]): number {
  const [left, right] = [claimOf(a), claimOf(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = Buffer.compare(left[i] ?? Buffer.of(), right[i] ?? Buffer.of());
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Type as a byte, and data, of TXT (16) and SRV (33), sorted. Only these stand behind the name of a service. */
function claimOf(records: readonly DnsRecord[]): Buffer[] {
  return records.flatMap((record) => {
    if (record.type === "TXT") return [Buffer.concat([Buffer.of(16), packet.txt.encode(dataOf(record)).subarray(2)])];
    if (record.type === "SRV") return [Buffer.concat([Buffer.of(33), packet.srv.encode(dataOf(record)).subarray(2)])];
    return [];
  }).sort(Buffer.compare);
}
