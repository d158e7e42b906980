import { crc32 } from "../base/crc32.ts";
import { FshError } from "../base/errors.ts";
import { type FieldName, FieldReader, FIELDS, type FieldType, FieldWriter } from "./field.ts";
import {
  FLAG_FIN,
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
  /** CRC-32 of the payload, checked. */
  readonly crc: number;
  /** A view into the receive buffer, good until more is read. */
  readonly payload: Uint8Array;
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
  if (header.reserved !== 0 || (header.flags & ~(row.fin ? FLAG_FIN : 0)) !== 0) {
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

/** A whole frame in a buffer of its own. */
export function encodeMessage<N extends FrameName>(
  name: N,
  stream: number,
  fields: FrameFields<N>,
  fin = false,
): Uint8Array<ArrayBuffer> {
  const writer = new FieldWriter(HEADER_BYTES);
  const types: Readonly<Record<string, FieldName>> = frameRow(name).fields ?? {};
  const values = fields as Readonly<Record<string, unknown>>;
  for (const field in types) {
    if (Object.hasOwn(types, field)) {
      (FIELDS[types[field] as FieldName] as FieldType<unknown>).write(writer, values[field]);
    }
  }
  const bytes = writer.bytes();
  sealFrame(bytes, name, stream, { fin });
  return bytes;
}

/**
 * Writes the header of a frame in place: the payload already stands behind HEADER_BYTES of room. So a frame is one
 * buffer and one write, and the payload is never copied. `crc`: the payload's CRC-32, where it is known already.
 */
export function sealFrame(
  frame: Uint8Array,
  name: FrameName,
  stream: number,
  options: { fin?: boolean; crc?: number } = {},
): void {
  const row = frameRow(name);
  const payload = frame.subarray(HEADER_BYTES);
  if (payload.length > row.max) {
    throw new FshError("BAD_LENGTH", { subject: name, detail: `${payload.length} bytes, at most ${row.max}` });
  }
  const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  view.setUint32(0, payload.length);
  view.setUint8(4, row.code);
  view.setUint8(5, options.fin ? FLAG_FIN : 0);
  view.setUint16(6, 0);
  view.setUint32(8, stream);
  view.setUint32(12, options.crc ?? crc32(payload));
}
