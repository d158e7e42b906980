import { setImmediate } from "node:timers";
import { assertEquals } from "@std/assert";
import { safePath } from "../../../lib/base/virtual_path.ts";
import { JustFound } from "../../../lib/storage/just_found.ts";

const A = safePath("/a");
const B = safePath("/b");

/** Lets the turn of the event loop end, and the next one. */
async function turns(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => setImmediate(() => resolve()));
}

Deno.test("what was found is taken once, by the same path, in the same turn", async () => {
  const closed: number[] = [];
  const found = new JustFound((descriptor) => closed.push(descriptor));
  found.put(A, 3);
  found.put(B, 4);
  await Promise.resolve();
  assertEquals([found.take(B), found.take(B), closed], [4, undefined, []]);
  await turns();
  assertEquals([found.take(A), closed], [undefined, [3]]);
  found.put(B, 5);
  await turns();
  assertEquals(closed, [3, 5]);
  // Also what is found once all before it was taken.
  found.put(A, 6);
  found.take(A);
  await turns();
  found.put(A, 7);
  await turns();
  assertEquals(closed, [3, 5, 7]);
});

Deno.test("the later one of a path counts, and nothing is left behind at the end", () => {
  const closed: number[] = [];
  const found = new JustFound((descriptor) => closed.push(descriptor));
  found.put(A, 3);
  found.put(A, 4);
  assertEquals([closed, found.take(A)], [[3], 4]);
  found.put(B, 5);
  found.clear();
  assertEquals([closed, found.take(B)], [[3, 5], undefined]);
});
