import ipaddr from "ipaddr.js";

/** Bytes of a TCP segment's payload in a capture; an IPv4 packet has 65,535 with its headers (RFC 791, section 3.1). */
export const SEGMENT = 60 * 1024;

/** Flags of a TCP header (RFC 9293, section 3.1). */
export const [FIN, SYN, RST, PSH, ACK] = [0x01, 0x02, 0x04, 0x08, 0x10] as const;

const RECORD_HEAD = 16;
const TCP_HEAD = 20;
/** LINKTYPE_RAW of the registry of link types (tcpdump.org): packets begin with their IP header, version 4 or 6. */
const RAW_IP = 101;
const MOST_PACKET = 262_144;
/** Maximum segment size, no-operation, and a window that is 2^14 times what the header says (RFC 7323, section 2). */
const SYN_OPTIONS = [2, 4, SEGMENT >> 8, SEGMENT & 0xff, 1, 3, 3, 14];

/** The first 24 bytes of a capture file with times in microseconds (draft-ietf-opsawg-pcap). */
export const PCAP_HEAD: Uint8Array = head();

function head(): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 0xa1b2c3d4);
  view.setUint16(4, 2);
  view.setUint16(6, 4);
  view.setUint32(16, MOST_PACKET);
  view.setUint32(20, RAW_IP);
  return new Uint8Array(view.buffer);
}

/** One end of a connection. */
export interface Endpoint {
  /** 4 or 16 bytes, as many as the other end's. */
  readonly address: readonly number[];
  readonly port: number;
}

export interface Segment {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly flags: number;
  /** Sequence number of the first byte, and the next one that is expected of the other side. */
  readonly seq: number;
  readonly ack: number;
  /** A number stands for as many zeros. */
  readonly payload: Uint8Array | number;
  /** Microseconds since 1970-01-01T00:00Z. */
  readonly time: number;
}

/** Bytes of a numeric address; null for what is none. An IPv4 address in IPv6 clothes counts as IPv4. */
export function addressBytes(text: string): number[] | null {
  const bare = text.replace(/%.*$/, "");
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toByteArray() : null;
}

/** One record of a capture file, in parts: a TCP segment in an IP packet, checksums and all. */
export function packet({ from, to, flags, seq, ack, payload, time }: Segment): (Uint8Array | number)[] {
  const isV4 = from.address.length === 4;
  const options = flags & SYN ? SYN_OPTIONS : [];
  const ipHead = isV4 ? 20 : 40;
  const tcpHead = TCP_HEAD + options.length;
  const length = typeof payload === "number" ? payload : payload.length;
  const size = ipHead + tcpHead + length;
  const bytes = new Uint8Array(RECORD_HEAD + ipHead + tcpHead);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(time / 1e6));
  view.setUint32(4, Math.floor(time % 1e6));
  view.setUint32(8, size);
  view.setUint32(12, size);
  const ip = RECORD_HEAD;
  if (isV4) writeV4(view, ip, { size, from, to });
  else writeV6(view, ip, { size: tcpHead + length, from, to });
  const tcp = ip + ipHead;
  view.setUint16(tcp, from.port);
  view.setUint16(tcp + 2, to.port);
  view.setUint32(tcp + 4, seq);
  view.setUint32(tcp + 8, flags & ACK ? ack : 0);
  view.setUint8(tcp + 12, (tcpHead >> 2) << 4);
  view.setUint8(tcp + 13, flags);
  view.setUint16(tcp + 14, 0xffff);
  bytes.set(options, tcp + TCP_HEAD);
  // Pseudo-header (RFC 9293, section 3.1): addresses, protocol 6, length. Zeros add nothing.
  const pseudo = sum(from.address, to.address) + 6 + tcpHead + length;
  const content = typeof payload === "number" ? 0 : sumOf(payload);
  view.setUint16(tcp + 16, checksum(bytes.subarray(tcp), pseudo + content));
  return [bytes, payload];
}

/** RFC 791, section 3.1: no fragments, 64 hops, TCP. */
function writeV4(view: DataView, at: number, { size, from, to }: { size: number; from: Endpoint; to: Endpoint }): void {
  view.setUint16(at, 0x4500);
  view.setUint16(at + 2, size);
  view.setUint16(at + 6, 0x4000);
  view.setUint16(at + 8, 0x4006);
  [...from.address, ...to.address].forEach((byte, i) => view.setUint8(at + 12 + i, byte));
  view.setUint16(at + 10, checksum(new Uint8Array(view.buffer, at, 20), 0));
}

/** RFC 8200, section 3: TCP, 64 hops. */
function writeV6(view: DataView, at: number, { size, from, to }: { size: number; from: Endpoint; to: Endpoint }): void {
  view.setUint8(at, 0x60);
  view.setUint16(at + 4, size);
  view.setUint16(at + 6, 0x0640);
  [...from.address, ...to.address].forEach((byte, i) => view.setUint8(at + 8 + i, byte));
}

function sum(...addresses: readonly (readonly number[])[]): number {
  return addresses.reduce((total, address) => total + sumOf(Uint8Array.from(address)), 0);
}

/** Of big-endian 16-bit words; less than 2^53 for anything that fits into a segment. */
function sumOf(bytes: Uint8Array): number {
  let total = 0;
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return even < bytes.length ? total + ((bytes[even] as number) << 8) : total;
}

/** The Internet checksum (RFC 1071); `begin`: the sum of what else belongs to it. */
function checksum(bytes: Uint8Array, begin: number): number {
  let total = begin + sumOf(bytes);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}
