import { assertEquals } from "@std/assert";
import { blockAt, KnownSums } from "../../../lib/storage/known_sums.ts";
import { MAX_REGION } from "../../../lib/storage/storage.ts";

Deno.test("what was learned of one state of a file is known of that state only", () => {
  const sums = new KnownSums();
  sums.learn("a", 0, 1);
  sums.learn("a", 7, 2);
  assertEquals([...sums.of("a").blocks], [[0, 1], [7, 2]]);
  assertEquals(sums.of("b").blocks.size, 0);
  sums.forget("a");
  assertEquals(sums.of("a").blocks.size, 0);
});

Deno.test("the file used longest ago is forgotten first, once there are too many blocks", () => {
  const sums = new KnownSums();
  for (let i = 0; i < 30_000; i++) sums.learn("old", i, i);
  for (let i = 0; i < 30_000; i++) sums.learn("middle", i, i);
  sums.of("old");
  for (let i = 0; i < 10_000; i++) sums.learn("new", i, i);
  assertEquals([sums.of("old").blocks.size, sums.of("middle").blocks.size, sums.of("new").blocks.size], [
    30_000,
    0,
    10_000,
  ]);
});

Deno.test("a block is a whole one, or the file's last", () => {
  const size = 3 * MAX_REGION + 10;
  assertEquals(blockAt(0, MAX_REGION, size), 0);
  assertEquals(blockAt(2 * MAX_REGION, MAX_REGION, size), 2);
  assertEquals(blockAt(3 * MAX_REGION, 10, size), 3);
  assertEquals(blockAt(3 * MAX_REGION, 9, size), null);
  assertEquals(blockAt(1, MAX_REGION, size), null);
  assertEquals(blockAt(size, 0, size), null);
});
