import { assertEquals } from "@std/assert";
import { combineCrc32, crc32 } from "../../../lib/base/crc32.ts";

Deno.test("combineCrc32() gives the CRC-32 of both pieces together", () => {
  const bytes = new Uint8Array(100_003).map((_, at) => (at * 31 + (at >> 7)) & 0xff);
  for (const cut of [0, 1, 2, 3, 255, 256, 4096, 65_536, 99_999, 100_002, 100_003]) {
    const [first, second] = [bytes.subarray(0, cut), bytes.subarray(cut)];
    assertEquals(combineCrc32(crc32(first), crc32(second), second.length), crc32(bytes), `cut at ${cut}`);
  }
});

Deno.test("combineCrc32() goes on piece by piece, of equal and of changing lengths", () => {
  const bytes = new Uint8Array(1_000_000).map((_, at) => (at * 7) & 0xff);
  let value = 0;
  for (let at = 0, length = 1; at < bytes.length; at += length, length = (length * 5) % 65_537) {
    const piece = bytes.subarray(at, at + length);
    value = combineCrc32(value, crc32(piece), piece.length);
  }
  assertEquals(value, crc32(bytes));
});
