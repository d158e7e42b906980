import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { decodeMessage, encodeMessage, readHeader, sealFrame } from "../../../lib/wire/codec.ts";
import { FIELDS, FieldWriter, MAX_PAGE } from "../../../lib/wire/field.ts";
import { FLAG_FIN, frameRow, FRAMES, HEADER_BYTES, MAX_DATA } from "../../../lib/wire/frames.ts";
import { FRAME_NAMES, frameValues } from "../../support/frame_values.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { Random } from "../../support/random.ts";

for (const name of FRAME_NAMES.filter((name) => frameRow(name).fields !== null)) {
  Deno.test(`codec brings ${name} back as it was`, () => {
    const random = new Random(FRAMES[name].code);
    for (let i = 0; i < 200; i++) {
      const values = frameValues(name, random);
      const stream = random.next();
      const fin = random.chance(50);
      const frame = encodeMessage(name, stream, values, fin);
      const header = readHeader(frame, 0);
      assertEquals(header.type, FRAMES[name].code);
      assertEquals(header.stream, stream);
      assertEquals(header.flags, fin ? FLAG_FIN : 0);
      assertEquals(header.reserved, 0);
      assertEquals(header.length, frame.length - HEADER_BYTES);
      const message = decodeMessage({ name, stream, fin, crc: header.crc, payload: frame.subarray(HEADER_BYTES) });
      assertEquals<unknown>(message, { name, stream, fin, fields: values });
    }
  });
}

for (const name of FRAME_NAMES) {
  Deno.test(`largest ${name} that its fields allow fits its row`, () => {
    const types = Object.values(frameRow(name).fields ?? {});
    const largest = types.reduce((sum, type) => sum + FIELDS[type].max, 0);
    assertLessOrEqual(largest, frameRow(name).max);
  });
}

Deno.test("codes of frames are unique and fit a byte", () => {
  const codes = FRAME_NAMES.map((name) => FRAMES[name].code);
  assertEquals(new Set(codes).size, codes.length);
  assert(codes.every((code) => code > 0 && code < 256));
});

Deno.test("field types keep to the most bytes that they state", () => {
  const random = new Random(7);
  for (const name of FRAME_NAMES) {
    for (let i = 0; i < 50; i++) {
      const frame = encodeMessage(name, 1, frameValues(name, random));
      const types = Object.values(frameRow(name).fields ?? {});
      assertLessOrEqual(frame.length - HEADER_BYTES, types.reduce((sum, type) => sum + FIELDS[type].max, 0));
    }
  }
});

Deno.test("DATA of a byte too many is not sent", () => {
  assertThrowsError(() => sealFrame(new Uint8Array(HEADER_BYTES + MAX_DATA + 1), "DATA", 1), "BAD_LENGTH");
  sealFrame(new Uint8Array(HEADER_BYTES + MAX_DATA), "DATA", 1);
});

Deno.test("a listing's page that would not fit is not sent", () => {
  const entry = { type: "file", size: 0, modified: null, mode: null } as const;
  const many = Array.from({ length: MAX_PAGE + 1 }, () => ({ ...entry, name: "a" }));
  assertThrowsError(() => encodeMessage("ENTRIES", 1, { entries: many }), "BAD_FIELD");
  const long = Array.from({ length: 64 }, () => ({ ...entry, name: "a".repeat(4096) }));
  assertThrowsError(() => encodeMessage("ENTRIES", 1, { entries: long }), "BAD_LENGTH");
});

Deno.test("values that a field cannot carry are not sent", () => {
  for (const nonce of [-1, 0.5, NaN, 2 ** 53, Infinity]) {
    assertThrowsError(() => encodeMessage("PING", 0, { nonce }), "BAD_FIELD");
  }
  for (const credit of [-1, 2 ** 32, 1.5]) {
    assertThrowsError(() => encodeMessage("WINDOW", 1, { credit }), "BAD_FIELD");
  }
  assertThrowsError(() => encodeMessage("STAT", 1, { path: "x".repeat(4097) }, true), "BAD_FIELD");
  assertThrowsError(() => encodeMessage("STAT", 1, { path: "\ud800" }, true), "BAD_UTF8");
});

Deno.test("whole numbers of 64 bits stand on the wire as BigInt would have them", () => {
  const edges = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 3, Number.MAX_SAFE_INTEGER];
  for (const value of edges.flatMap((edge) => [edge, -edge])) {
    const [writer, expected] = [new FieldWriter(), new DataView(new ArrayBuffer(8))];
    expected.setBigInt64(0, BigInt(value));
    writer.i64(value);
    if (value >= 0) writer.u64(value);
    const bytes = writer.bytes();
    for (let at = 0; at < bytes.length; at += 8) assertEquals(bytes.slice(at, at + 8), new Uint8Array(expected.buffer));
  }
});
