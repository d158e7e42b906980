import { crc32 } from "node:zlib";
import { HEADER_BYTES } from "../../lib/wire/frames.ts";

export interface RawFrameParts {
  readonly type: number;
  readonly payload?: Uint8Array;
  readonly stream?: number;
  readonly flags?: number;
  readonly reserved?: number;
  /** What the header claims; the payload's own length by default. */
  readonly length?: number;
  /** The right one by default. */
  readonly crc?: number;
}

/** A frame made by hand, right or wrong in any part. */
export function rawFrame(parts: RawFrameParts): Uint8Array<ArrayBuffer> {
  const { type, payload = new Uint8Array(), stream = 0, flags = 0, reserved = 0 } = parts;
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, parts.length ?? payload.length);
  view.setUint8(4, type);
  view.setUint8(5, flags);
  view.setUint16(6, reserved);
  view.setUint32(8, stream);
  view.setUint32(12, parts.crc ?? crc32(payload));
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Makes a frame's CRC-32 fit its payload again, so that what was changed gets as far as the fields. */
export function fixCrc(frame: Uint8Array): void {
  if (frame.length < HEADER_BYTES) return;
  const length = frame.length - HEADER_BYTES;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  view.setUint32(0, length);
  view.setUint32(12, crc32(frame.subarray(HEADER_BYTES)));
}

export function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
