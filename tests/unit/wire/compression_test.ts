import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { checkHeader, encodeMessage } from "../../../lib/wire/codec.ts";
import { Compressor, decompress } from "../../../lib/wire/compression.ts";
import { FLAG_UNCHECKED, FLAG_ZSTD, FRAMES, HEADER_BYTES, MAX_DATA } from "../../../lib/wire/frames.ts";
import { Splitter } from "../../../lib/wire/splitter.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { rawFrame } from "../../support/raw_frame.ts";
import { pattern } from "../../support/stored_files.ts";

const TEXT = new TextEncoder().encode("the same words again and again; ".repeat(4000));
const SLOW = 1_000_000;

function frameOf(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

function receive(bytes: Uint8Array) {
  const splitter = new Splitter((header) => checkHeader(header, "client", "ready"));
  for (let at = 0; at < bytes.length;) {
    const space = splitter.space();
    const some = bytes.subarray(at, at + space.length);
    space.set(some);
    splitter.filled(some.length);
    at += some.length;
  }
  return splitter.next();
}

Deno.test("always: what shrinks is compressed, what does not goes as it is", () => {
  const compressor = new Compressor("always");
  const packed = compressor.compress(frameOf(TEXT));
  assert(packed !== null);
  assertLessOrEqual(packed.length, TEXT.length / 10);
  assertEquals(decompress(packed.subarray(HEADER_BYTES), TEXT.length), TEXT);
  assertEquals(compressor.compress(frameOf(noise(100_000))), null);
  assertEquals(compressor.compress(frameOf(new Uint8Array(10))), null);
});

Deno.test("never compresses nothing, auto nothing on a fast link", () => {
  assertEquals(new Compressor("never").compress(frameOf(TEXT)), null);
  const auto = new Compressor("auto");
  assertEquals(auto.compress(frameOf(TEXT)), null);
  for (let i = 0; i < 100; i++) auto.sent(MAX_DATA, 0.3);
  assertEquals([auto.compress(frameOf(TEXT)), auto.isActive], [null, false]);
});

Deno.test("auto: frames that shrink to next to nothing don't keep a link slow for ever, nor is a slow one tried often", () => {
  const auto = new Compressor("auto");
  const tiny = () => {
    let frames = 0;
    for (; auto.isActive; frames++) auto.sent(100, 1);
    return frames;
  };
  for (let i = 0; i < 20; i++) auto.sent(SLOW, 100);
  const tries = [tiny()];
  // As slow as before.
  for (let i = 0; i < 6; i++) auto.sent(SLOW, 100), tries.push(tiny());
  assertEquals(tries, [64, 128, 256, 512, 1024, 1024, 1024]);
  auto.sent(MAX_DATA, 0.3);
  assert(!auto.isActive, "it is fast by now");
  for (let i = 0; i < 50; i++) auto.sent(SLOW, 100);
  assertEquals(tiny(), 64);
});

Deno.test("auto compresses on a slow link, gives up on data that does not shrink, and tries again later", () => {
  const auto = new Compressor("auto");
  for (let i = 0; i < 20; i++) auto.sent(SLOW, 100);
  assert(auto.compress(frameOf(TEXT)) !== null);
  assertEquals(auto.compress(frameOf(noise(100_000))), null);
  let passed = 0;
  while (auto.compress(frameOf(TEXT)) === null) passed++;
  assertEquals(passed, 8);
  auto.compress(frameOf(noise(100_000)));
  for (let i = 0; i < 8; i++) assertEquals(auto.compress(frameOf(noise(100_000))), null);
  // In vain once more: twice as long now.
  auto.compress(frameOf(noise(100_000)));
  passed = 0;
  while (auto.compress(frameOf(TEXT)) === null) passed++;
  assertEquals(passed, 16);
});

Deno.test("a compressed frame comes out of the splitter unpacked", () => {
  const payload = new Uint8Array(zstdCompressSync(TEXT));
  const frame = receive(rawFrame({ type: FRAMES.DATA.code, payload, stream: 1, flags: FLAG_ZSTD }));
  assertEquals([frame?.name, frame?.crc], ["DATA", undefined]);
  assertEquals(new Uint8Array(frame?.payload ?? []), TEXT);
});

Deno.test("a bomb is refused, and so is what is no zstd", () => {
  const bomb = new Uint8Array(zstdCompressSync(new Uint8Array(64 * MAX_DATA)));
  assertLessOrEqual(bomb.length, 10_000);
  for (const payload of [bomb, pattern(1000)]) {
    assertThrowsError(
      () => receive(rawFrame({ type: FRAMES.DATA.code, payload, stream: 1, flags: FLAG_ZSTD })),
      "BAD_COMPRESSION",
    );
  }
});

Deno.test("the CRC of a compressed frame is that of what went over the wire", () => {
  const payload = new Uint8Array(zstdCompressSync(TEXT));
  const damaged = rawFrame({ type: FRAMES.DATA.code, payload, stream: 1, flags: FLAG_ZSTD });
  damaged[HEADER_BYTES + 9] = (damaged[HEADER_BYTES + 9] ?? 0) ^ 1;
  assertThrowsError(() => receive(damaged), "BAD_CRC");
});

Deno.test("an unchecked frame has no CRC, and says so with 0", () => {
  const payload = pattern(1000);
  const frame = receive(rawFrame({ type: FRAMES.DATA.code, payload, stream: 1, flags: FLAG_UNCHECKED, crc: 0 }));
  assertEquals([frame?.crc, frame?.payload.length], [undefined, 1000]);
  assertThrowsError(
    () => receive(rawFrame({ type: FRAMES.DATA.code, payload, stream: 1, flags: FLAG_UNCHECKED })),
    "BAD_HEADER",
  );
});

Deno.test("frames other than DATA are always checked, and only those of data compressed", () => {
  const stat = encodeMessage("STAT", 1, { path: "/" }, true);
  for (const flag of [FLAG_UNCHECKED, FLAG_ZSTD]) {
    const changed = stat.slice();
    changed[5] = (changed[5] ?? 0) | flag;
    assertThrowsError(() => receive(changed), "BAD_HEADER");
  }
});
