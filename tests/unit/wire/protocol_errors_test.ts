import { assertEquals } from "@std/assert";
import { ERRORS } from "../../../lib/base/errors.ts";
import { checkHeader, checkPayload, decodeMessage, encodeMessage, readHeader } from "../../../lib/wire/codec.ts";
import {
  FLAG_FIN,
  frameName,
  frameRow,
  FRAMES,
  HEADER_BYTES,
  type Phase,
  type Role,
} from "../../../lib/wire/frames.ts";
import { FRAME_NAMES, frameValues } from "../../support/frame_values.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { Random } from "../../support/random.ts";
import { joined, rawFrame, type RawFrameParts } from "../../support/raw_frame.ts";

const PHASES: readonly Phase[] = ["hello", "auth", "ready", "draining", "closed"];
const ROLES: readonly Role[] = ["client", "server"];

function check(parts: RawFrameParts, from: Role = "client", phase: Phase = "ready") {
  return checkHeader(readHeader(rawFrame(parts), 0), from, phase);
}

/** A stream number that the frame may have. */
function streamFor(name: keyof typeof FRAMES): number {
  const on = frameRow(name).on;
  return on === "session" ? 0 : 1;
}

function decode(name: keyof typeof FRAMES, payload: Uint8Array) {
  return decodeMessage({ name, stream: 1, fin: false, crc: 0, payload });
}

Deno.test("length over the row's maximum is BAD_LENGTH, for every frame, whatever the rest", () => {
  for (const name of FRAME_NAMES) {
    const { code, max } = frameRow(name);
    for (const length of [max + 1, 2 ** 31, 2 ** 32 - 1]) {
      assertThrowsError(() => check({ type: code, length, reserved: 9 }), "BAD_LENGTH");
    }
  }
});

Deno.test("a type that no row has is UNKNOWN_FRAME", () => {
  for (let type = 0; type < 256; type++) {
    if (frameName(type) === undefined) assertThrowsError(() => check({ type }), "UNKNOWN_FRAME");
  }
});

Deno.test("every frame passes in its phases from its sender, and is WRONG_PHASE or WRONG_SENDER elsewhere", () => {
  for (const name of FRAME_NAMES) {
    const row = frameRow(name);
    for (const from of ROLES) {
      for (const phase of PHASES) {
        const call = () => check({ type: row.code, stream: streamFor(name) }, from, phase);
        if (row.sender !== "both" && row.sender !== from) assertThrowsError(call, "WRONG_SENDER");
        else if (!row.phases.includes(phase)) assertThrowsError(call, "WRONG_PHASE");
        else assertEquals(call(), name);
      }
    }
  }
});

Deno.test("nothing is allowed once the session is closed", () => {
  for (const name of FRAME_NAMES) assertEquals(frameRow(name).phases.includes("closed"), false);
});

Deno.test("reserved bits and flags that the row does not know are BAD_HEADER", () => {
  for (const name of FRAME_NAMES) {
    const row = frameRow(name);
    const stream = streamFor(name);
    const from: Role = row.sender === "server" ? "server" : "client";
    const phase = row.phases[0] as Phase;
    assertThrowsError(() => check({ type: row.code, stream, reserved: 1 }, from, phase), "BAD_HEADER");
    assertThrowsError(() => check({ type: row.code, stream, flags: 0x80 }, from, phase), "BAD_HEADER");
    const fin = () => check({ type: row.code, stream, flags: FLAG_FIN }, from, phase);
    if (row.fin) assertEquals(fin(), name);
    else assertThrowsError(fin, "BAD_HEADER");
  }
});

Deno.test("session frames on a stream and stream frames on the session are BAD_STREAM", () => {
  for (const name of FRAME_NAMES) {
    const row = frameRow(name);
    const from: Role = row.sender === "server" ? "server" : "client";
    const phase = row.phases[0] as Phase;
    const wrong = () => check({ type: row.code, stream: 1 - streamFor(name) }, from, phase);
    if (row.on === "any") assertEquals(wrong(), name);
    else assertThrowsError(wrong, "BAD_STREAM");
  }
});

Deno.test("a payload changed in any bit is BAD_CRC", () => {
  const frame = encodeMessage("STAT", 1, { path: "/a" }, true);
  for (let bit = 0; bit < (frame.length - HEADER_BYTES) * 8; bit++) {
    const damaged = frame.slice();
    damaged[HEADER_BYTES + (bit >> 3)] = (damaged[HEADER_BYTES + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
    assertThrowsError(() => checkPayload(readHeader(damaged, 0), damaged.subarray(HEADER_BYTES), "STAT"), "BAD_CRC");
  }
});

Deno.test("CRC-32 is the one of zlib", () => {
  const payload = new TextEncoder().encode("123456789");
  checkPayload(readHeader(rawFrame({ type: 0x10, payload, crc: 0xcbf43926 }), 0), payload, "DATA");
});

Deno.test("malformed UTF-8 is BAD_UTF8: overlong, surrogate, cut, stray continuation, beyond the last plane", () => {
  for (const text of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0x80], [0xf5, 0x80, 0x80, 0x80], [0xff]]) {
    const payload = joined(Uint8Array.of(0, text.length), Uint8Array.from(text));
    assertThrowsError(() => decode("STAT", payload), "BAD_UTF8");
  }
});

Deno.test("a byte order mark in a name stays", () => {
  const payload = Uint8Array.of(0, 4, 0xef, 0xbb, 0xbf, 0x61);
  assertEquals<unknown>(decode("STAT", payload).fields, { path: "\ufeffa" });
});

for (const name of FRAME_NAMES.filter((name) => frameRow(name).fields !== null)) {
  Deno.test(`${name} cut anywhere is refused by name, and so is a byte too many`, () => {
    const frame = encodeMessage(name, 1, frameValues(name, new Random(3)));
    const payload = frame.subarray(HEADER_BYTES);
    for (let cut = 0; cut < payload.length; cut++) {
      assertThrowsError(() => decode(name, payload.subarray(0, cut)), "SHORT_FRAME");
    }
    const error = assertThrowsError(() => decode(name, joined(payload, Uint8Array.of(0))), "TRAILING_BYTES");
    assertEquals(error.subject, name);
  });
}

Deno.test("values out of range are BAD_FIELD", () => {
  const zeros = (length: number) => new Uint8Array(length);
  const ones = (length: number) => new Uint8Array(length).fill(255);
  // u64 beyond 2^53 - 1; entry type 4; mode over 0o7777; text and block over their limits; counts over theirs.
  assertThrowsError(() => decode("PING", Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0)), "BAD_FIELD");
  assertThrowsError(() => decode("INFO", joined(Uint8Array.of(4), zeros(20))), "BAD_FIELD");
  assertThrowsError(() => decode("INFO", joined(zeros(17), Uint8Array.of(0, 0, 0x10, 0))), "BAD_FIELD");
  assertThrowsError(
    () => decode("INFO", joined(zeros(9), Uint8Array.of(0x80), zeros(6), Uint8Array.of(1), zeros(4))),
    "BAD_FIELD",
  );
  assertThrowsError(() => decode("STAT", joined(Uint8Array.of(0x10, 0x01), zeros(4097))), "BAD_FIELD");
  assertThrowsError(() => decode("CHALLENGE", joined(ones(2), zeros(10))), "BAD_FIELD");
  assertThrowsError(() => decode("ENTRIES", Uint8Array.of(0x04, 0x01)), "BAD_FIELD");
  assertThrowsError(() => decode("HELLO", joined(zeros(4), Uint8Array.of(33))), "BAD_FIELD");
});

Deno.test("a count that claims more than there is ends SHORT_FRAME without filling memory", () => {
  const error = assertThrowsError(() => decode("ENTRIES", Uint8Array.of(0x04, 0x00)), "SHORT_FRAME");
  assertEquals(error.code, ERRORS.SHORT_FRAME.code);
});
