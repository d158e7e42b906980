import { crc32 } from "../base/crc32.ts";
import { FshError } from "../base/errors.ts";
import { type FieldName, FieldReader, FIELDS, type FieldType, FieldWriter } from "./field.ts";
import {
  FLAG_FIN,
  FLAG_UNCHECKED,
  FLAG_ZSTD,
  type FrameFields,
  type FrameName,
  frameName,
  frameRow,
  HEADER_BYTES,
  type Phase,
  type Role,
} from "./frames.ts";

/** The 16 bytes before a payload. */
export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly reserved: number;
  readonly stream: number;
  readonly crc: number;
}

/** A frame without its meaning: what the splitter hands out. */
export interface RawFrame {
  readonly name: FrameName;
  readonly fin: boolean;
  readonly stream: number;
  /** CRC-32 of the payload, checked; undefined where the frame has none, or was compressed. */
  readonly crc: number | undefined;
  /** A view into the receive buffer, good until more is read. */
  readonly payload: Uint8Array;
  /** Bytes that came for the payload, where it was compressed. */
  readonly packed?: number;
}

/** A frame other than DATA, with its fields. */
export type Message = { [N in FrameName]: MessageOf<N> }[FrameName];
export type MessageOf<N extends FrameName> = {
  readonly name: N;
  readonly stream: number;
  readonly fin: boolean;
  readonly fields: FrameFields<N>;
};

export function readHeader(bytes: Uint8Array, at: number): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  return {
    length: view.getUint32(0),
    type: view.getUint8(4),
    flags: view.getUint8(5),
    reserved: view.getUint16(6),
    stream: view.getUint32(8),
    crc: view.getUint32(12),
  };
}

/**
 * Checks all that a header alone can tell, before a byte of the payload is stored: type, length, reserved bits, sender,
 * phase, and whether the frame belongs to the session or to a stream.
 *
 * @throws {FshError} UNKNOWN_FRAME, BAD_LENGTH, BAD_HEADER, WRONG_SENDER, WRONG_PHASE, BAD_STREAM
 */
export function checkHeader(header: FrameHeader, from: Role, phase: Phase): FrameName {
  const name = frameName(header.type);
  if (name === undefined) {
    throw new FshError("UNKNOWN_FRAME", { detail: `type 0x${header.type.toString(16).padStart(2, "0")}` });
  }
  const row = frameRow(name);
  if (header.length > row.max) {
    throw new FshError("BAD_LENGTH", { subject: name, detail: `${header.length} bytes, at most ${row.max}` });
  }
  const allowed = (row.fin ? FLAG_FIN : 0) | (row.flags ?? 0);
  const unchecked = (header.flags & FLAG_UNCHECKED) !== 0;
  if (header.reserved !== 0 || (header.flags & ~allowed) !== 0 || (unchecked && header.crc !== 0)) {
    throw new FshError("BAD_HEADER", { subject: name });
  }
  if (row.sender !== "both" && row.sender !== from) throw new FshError("WRONG_SENDER", { subject: name });
  if (!row.phases.includes(phase)) throw new FshError("WRONG_PHASE", { subject: name, detail: phase });
  if (row.on !== "any" && (row.on === "session") !== (header.stream === 0)) {
    throw new FshError("BAD_STREAM", { subject: name, detail: String(header.stream) });
  }
  return name;
}

/** Compares the payload with the header's CRC-32 (the one of zlib). */
export function checkPayload(header: FrameHeader, payload: Uint8Array, name: FrameName): void {
  if (header.flags & FLAG_UNCHECKED) return;
  if (crc32(payload) !== header.crc) throw new FshError("BAD_CRC", { subject: name });
}

/** Reads the fields of a frame that is not DATA. */
export function decodeMessage(frame: RawFrame): Message {
  const fields: Record<string, unknown> = {};
  const reader = new FieldReader(frame.payload);
  const types: Readonly<Record<string, FieldName>> = frameRow(frame.name).fields ?? {};
  try {
    for (const field in types) {
      if (Object.hasOwn(types, field)) fields[field] = FIELDS[types[field] as FieldName].read(reader);
    }
    if (reader.left > 0) throw new FshError("TRAILING_BYTES", { detail: `${reader.left} bytes` });
  } catch (error) {
    throw error instanceof FshError ? error.about(frame.name) : error;
  }
  // The table is what makes the type true: the fields were read as it says.
  return { name: frame.name, stream: frame.stream, fin: frame.fin, fields } as unknown as Message;
}

/** The fields of each frame, in order. As a list: a loop over names of properties is compiled again and again. */
const fieldsOf = (() => {
  const known = new Map<FrameName, readonly { field: string; type: FieldType<unknown> }[]>();
  return (name: FrameName) => {
    let fields = known.get(name);
    if (!fields) {
      const types = Object.entries<FieldName>(frameRow(name).fields ?? {});
      fields = types.map(([field, type]) => ({ field, type: FIELDS[type] as FieldType<unknown> }));
      known.set(name, fields);
    }
    return fields;
  };
})();

/** A whole frame in a buffer of its own. */
export function encodeMessage<N extends FrameName>(
  name: N,
  stream: number,
  fields: FrameFields<N>,
  fin = false,
): Uint8Array<ArrayBuffer> {
  const writer = new FieldWriter(HEADER_BYTES);
  const values = fields as Readonly<Record<string, unknown>>;
  for (const { field, type } of fieldsOf(name)) type.write(writer, values[field]);
  const bytes = writer.bytes();
  sealFrame(bytes, name, stream, { fin });
  return bytes;
}

/**
 * Writes the header of a frame in place: the payload already stands behind HEADER_BYTES of room. So a frame is one
 * buffer and one write, and the payload is never copied. `crc`: the payload's CRC-32, where it is known already.
 * `zstd`: the payload is compressed.
 */
export function sealFrame(
  frame: Uint8Array,
  name: FrameName,
  stream: number,
  options: { fin?: boolean; crc?: number | undefined; zstd?: boolean } = {},
): void {
  const payload = frame.subarray(HEADER_BYTES);
  const flags = (options.fin ? FLAG_FIN : 0) | (options.zstd ? FLAG_ZSTD : 0);
  writeHeader(frame, { name, length: payload.length, flags, stream, crc: options.crc ?? crc32(payload) });
}

/** The header of a DATA frame whose payload comes from elsewhere. `crc`: null for a frame without one. */
export function dataHeader(stream: number, length: number, crc: number | null): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(HEADER_BYTES);
  writeHeader(header, { name: "DATA", length, flags: crc === null ? FLAG_UNCHECKED : 0, stream, crc: crc ?? 0 });
  return header;
}

function writeHeader(
  into: Uint8Array,
  header: { name: FrameName; length: number; flags: number; stream: number; crc: number },
): void {
  const { name, length, flags, stream, crc } = header;
  const row = frameRow(name);
  if (length > row.max) {
    throw new FshError("BAD_LENGTH", { subject: name, detail: `${length} bytes, at most ${row.max}` });
  }
  const view = new DataView(into.buffer, into.byteOffset, HEADER_BYTES);
  view.setUint32(0, length);
  view.setUint8(4, row.code);
  view.setUint8(5, flags);
  view.setUint16(6, 0);
  view.setUint32(8, stream);
  view.setUint32(12, crc);
}
