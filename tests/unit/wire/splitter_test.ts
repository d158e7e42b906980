import { assertEquals, assertLessOrEqual } from "@std/assert";
import { checkHeader, encodeMessage, sealFrame } from "../../../lib/wire/codec.ts";
import { HEADER_BYTES, MAX_DATA } from "../../../lib/wire/frames.ts";
import { RECEIVE_SIZES, Splitter } from "../../../lib/wire/splitter.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { joined, rawFrame } from "../../support/raw_frame.ts";
import { pattern } from "../../support/stored_files.ts";

/** Largest receive buffer, as the splitter promises. */
const LARGE = 2 * (HEADER_BYTES + MAX_DATA);

interface Cut {
  readonly name: string;
  readonly stream: number;
  readonly payload: Uint8Array;
}

function splitter(): Splitter {
  return new Splitter((header) => checkHeader(header, "client", "ready"));
}

/** Feeds all bytes, at most `chunk` at a time, and collects the frames. */
function feed(into: Splitter, bytes: Uint8Array, chunk = Infinity): Cut[] {
  const frames: Cut[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = into.space();
    if (space.length === 0) throw new Error("no room to read into");
    const some = Math.min(space.length, chunk, bytes.length - at);
    space.set(bytes.subarray(at, at + some));
    into.filled(some);
    at += some;
    for (let frame; (frame = into.next()) !== null;) {
      frames.push({ name: frame.name, stream: frame.stream, payload: frame.payload.slice() });
    }
  }
  return frames;
}

function data(length: number, stream = 1): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + length);
  frame.set(pattern(length), HEADER_BYTES);
  sealFrame(frame, "DATA", stream);
  return frame;
}

const three = joined(
  encodeMessage("PING", 0, { nonce: 5 }),
  data(37),
  encodeMessage("STAT", 3, { path: "/Báo cáo" }, true),
);
const names = ["PING", "DATA", "STAT"];

Deno.test("splitter hands out frames that come one byte at a time", () => {
  const frames = feed(splitter(), three, 1);
  assertEquals(frames.map((frame) => frame.name), names);
  assertEquals(frames[1]?.payload, pattern(37));
});

Deno.test("splitter hands out a frame cut at every byte", () => {
  for (let cut = 0; cut <= three.length; cut++) {
    const one = splitter();
    const frames = [...feed(one, three.subarray(0, cut)), ...feed(one, three.subarray(cut))];
    assertEquals(frames.map((frame) => frame.name), names, `cut at ${cut}`);
    assertEquals(frames[1]?.payload, pattern(37), `cut at ${cut}`);
    assertEquals(one.pending, 0);
  }
});

Deno.test("splitter hands out frames in chunks of every size up to the whole", () => {
  for (let chunk = 1; chunk <= three.length; chunk++) {
    assertEquals(feed(splitter(), three, chunk).map((frame) => frame.name), names);
  }
});

Deno.test("splitter refuses a huge length at the header and allocates nothing for it", () => {
  const one = splitter();
  assertThrowsError(() => feed(one, rawFrame({ type: 0x10, stream: 1, length: 2 ** 32 - 1 })), "BAD_LENGTH");
  assertEquals(one.capacity, RECEIVE_SIZES[0]);
});

Deno.test("splitter allocates for what came, not for what an allowed length claims", () => {
  const one = splitter();
  const header = rawFrame({ type: 0x10, stream: 1, length: MAX_DATA });
  assertEquals(feed(one, joined(header, new Uint8Array(100))), []);
  assertEquals(one.capacity, RECEIVE_SIZES[0]);
  assertEquals(one.pending, header.length + 100);
});

Deno.test("splitter refuses a bad header before its payload came", () => {
  assertThrowsError(() => feed(splitter(), rawFrame({ type: 0x7f, length: 5 })), "UNKNOWN_FRAME");
});

Deno.test("splitter refuses a damaged payload", () => {
  const frame = data(100);
  frame[50] = (frame[50] ?? 0) ^ 1;
  assertThrowsError(() => feed(splitter(), frame), "BAD_CRC");
});

for (const length of [MAX_DATA, MAX_DATA - 12_345, 700_000]) {
  Deno.test(`splitter's buffer stays bounded under a flow of frames of ${length} bytes`, () => {
    const one = splitter();
    const frame = data(length);
    const flow = joined(frame, frame, frame, frame, frame, frame, frame);
    for (let round = 0; round < 3; round++) {
      const frames = feed(one, flow, 700_001);
      assertEquals(frames.length, 7);
      assertEquals(frames.every(({ payload }) => payload.length === length && payload[777] === frame[777 + 16]), true);
      assertLessOrEqual(one.capacity, LARGE);
    }
  });
}

Deno.test("splitter stays small under small frames", () => {
  const one = splitter();
  const ping = encodeMessage("PING", 0, { nonce: 1 });
  for (let i = 0; i < 2000; i++) assertEquals(feed(one, ping, 7).length, 1);
  assertEquals(one.capacity, RECEIVE_SIZES[0]);
});

Deno.test("splitter holds little of a flood of small frames, however much comes at once", () => {
  const one = splitter();
  const ping = encodeMessage("PING", 0, { nonce: 1 });
  const flood = new Uint8Array(ping.length * 50_000);
  for (let i = 0; i < 50_000; i++) flood.set(ping, i * ping.length);
  assertEquals(feed(one, flood, 1_000_000).length, 50_000);
  assertLessOrEqual(one.capacity, 16 * 1024);
  // What comes after it is as quick as ever.
  for (let i = 0; i < 8; i++) assertEquals(feed(one, data(MAX_DATA), 1_000_000).length, 1);
  assertLessOrEqual(MAX_DATA, one.capacity);
});

Deno.test("splitter gives a large buffer back once idle, and never what is under way", () => {
  const one = splitter();
  const frame = data(MAX_DATA);
  feed(one, frame);
  const grown = one.capacity;
  assertLessOrEqual(MAX_DATA, grown);
  assertEquals(feed(one, frame.subarray(0, 1000)).length, 0);
  one.relax(RECEIVE_SIZES[0]);
  assertEquals(one.capacity, grown);
  assertEquals(feed(one, frame.subarray(1000)).length, 1);
  one.relax(RECEIVE_SIZES[0]);
  assertEquals(one.capacity, RECEIVE_SIZES[0]);
  assertEquals(feed(one, three).length, 3);
});
