import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";

/** The first byte of each command of the classic protocol (PROTOCOL.md, "The classic protocol"). */
export const CLASSIC = { list: 1, get: 2, put: 3, ping: 4 } as const;

/** A name on the wire, its NUL and what follows that included, in bytes. */
export const NAME_BYTES = 256;
/** A size (u64) and a count (u32), little-endian, in bytes. */
export const SIZE_BYTES = 8;
export const COUNT_BYTES = 4;

/**
 * Reads a name: UTF-8 up to the first NUL; what stands behind that is not looked at, as C programs leave there what was
 * there before.
 *
 * @throws {FshError} PATH_REJECTED: no NUL, empty, a slash, not UTF-8
 */
export function readClassicName(field: Uint8Array): string {
  const reject = (detail: string) => new FshError("PATH_REJECTED", { detail });
  const end = field.indexOf(0);
  if (end < 0) throw reject(`no NUL in the ${NAME_BYTES} bytes of the name`);
  if (end === 0) throw reject("the name is empty");
  let name: string;
  try {
    name = decodeUtf8(field.subarray(0, end));
  } catch {
    throw reject("the name is not valid UTF-8");
  }
  if (name.includes("/")) {
    throw new FshError("PATH_REJECTED", { subject: name, detail: "the classic protocol has no folders" });
  }
  return name;
}

/** A name as it goes on the wire. @throws {FshError} NAME_TOO_LONG over 255 bytes, PATH_REJECTED with a NUL */
export function classicName(name: string): Uint8Array<ArrayBuffer> {
  const field = new Uint8Array(NAME_BYTES);
  const bytes = encodeUtf8(name);
  if (bytes.length >= NAME_BYTES) {
    throw new FshError("NAME_TOO_LONG", { subject: name.slice(0, 40) + "…", detail: `over ${NAME_BYTES - 1} bytes` });
  }
  if (bytes.includes(0)) throw new FshError("PATH_REJECTED", { subject: name, detail: "it has a NUL character" });
  field.set(bytes);
  return field;
}

/** The size at `at`; Infinity for one that no number holds exactly (over 2^53 - 1). */
export function readClassicSize(bytes: Uint8Array, at = 0): number {
  const size = new DataView(bytes.buffer, bytes.byteOffset + at, SIZE_BYTES).getBigUint64(0, true);
  return size > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(size);
}

export function classicSize(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SIZE_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  return bytes;
}

export function readClassicCount(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, COUNT_BYTES).getUint32(0, true);
}

export function classicCount(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(COUNT_BYTES);
  new DataView(bytes.buffer).setUint32(0, count, true);
  return bytes;
}
