import { assertEquals } from "@std/assert";
import { forEachBounded, Turns } from "../../../lib/base/concurrency.ts";
import { FshError } from "../../../lib/base/errors.ts";
import { assertFails } from "../../support/named_errors.ts";

/** A bound on the number alone. */
function atMost(count: number) {
  return { count, weight: Infinity, weigh: () => 1 };
}

Deno.test("forEachBounded visits everything, never more than the limit at once", async () => {
  let running = 0;
  let most = 0;
  const seen: number[] = [];
  await forEachBounded([1, 2, 3, 4, 5, 6, 7], atMost(3), async (item) => {
    most = Math.max(most, ++running);
    await turn();
    seen.push(item);
    running--;
  });
  assertEquals(seen.sort(), [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(most, 3);
});

Deno.test("forEachBounded takes an item only when there is room", async () => {
  let taken = 0;
  const release: (() => void)[] = [];
  function* items() {
    for (let i = 0; i < 10; i++) {
      taken++;
      yield i;
    }
  }
  const all = forEachBounded(items(), atMost(2), () => new Promise<void>((resolve) => release.push(resolve)));
  await turn();
  assertEquals(taken, 2);
  release.shift()?.();
  await turn();
  assertEquals(taken, 3);
  while (taken < 10 || release.length > 0) {
    release.shift()?.();
    await turn();
  }
  await all;
});

Deno.test("forEachBounded stops at the first failure and waits for those under way", async () => {
  const begun: number[] = [];
  let ended = 0;
  await assertFails(
    () =>
      forEachBounded([1, 2, 3, 4, 5, 6], atMost(2), async (item) => {
        begun.push(item);
        if (item === 1) throw new FshError("NO_SPACE");
        await turn();
        ended++;
      }),
    "NO_SPACE",
  );
  assertEquals(ended, begun.length - 1);
  assertEquals(begun.includes(6), false);
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("forEachBounded holds the weight under way within its bound, and lets a heavier item go alone", async () => {
  let weight = 0;
  let most = 0;
  let alone = true;
  const bounds = { count: 100, weight: 10, weigh: (item: number) => item };
  await forEachBounded([4, 4, 4, 25, 4, 1, 1, 9, 2], bounds, async (item) => {
    weight += item;
    if (item === 25) alone = weight === 25;
    else most = Math.max(most, weight);
    await turn();
    await turn();
    weight -= item;
  });
  assertEquals([most <= 10, alone], [true, true]);
});
Deno.test("as many tasks as there are turns run at once, the others in order, failures or not", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const tasks = gates.map((gate, i) =>
    turns.take(async () => {
      begun.push(i);
      await gate.promise;
      return i;
    })
  );
  const outcomes = Promise.allSettled(tasks);
  await settled();
  assertEquals(begun, [0, 1]);
  gates[1]?.reject(new Error("failed"));
  await settled();
  assertEquals(begun, [0, 1, 2]);
  for (const i of [0, 2, 3]) gates[i]?.resolve();
  assertEquals((await outcomes).map((outcome) => outcome.status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assertEquals(begun, [0, 1, 2, 3]);
  await turns.take(() => Promise.resolve());
});

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
