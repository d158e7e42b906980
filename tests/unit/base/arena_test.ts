import { assertEquals } from "@std/assert";
import { Arena } from "../../../lib/base/arena.ts";

Deno.test("what an arena gives does not overlap, whatever the sizes, nothing at all included", () => {
  using arena = new Arena();
  const sizes = [0, 1, 0, 65_536, 65_537, 100_000, 65_000, 65_000, 1, 0, 300_000];
  const given = sizes.map((size) => arena.take(size));
  given.forEach((bytes, i) => bytes.fill(i + 1));
  assertEquals(given.map((bytes) => bytes.length), sizes);
  given.forEach((bytes, i) => assertEquals(bytes.every((byte) => byte === i + 1), true));
});

Deno.test("an arena that was reset gives memory again", () => {
  using arena = new Arena();
  for (let round = 0; round < 100; round++) {
    arena.reset();
    assertEquals([arena.take(0).length, arena.take(50_000).length, arena.take(50_000).length], [0, 50_000, 50_000]);
  }
});
