import { assertEquals } from "@std/assert";
import { SharedFlush } from "../../../lib/storage/shared_flush.ts";
import { assertFails } from "../../support/named_errors.ts";
import { FshError } from "../../../lib/base/errors.ts";

/** Flushes that end when told to. */
function flushes() {
  const waiting: PromiseWithResolvers<void>[] = [];
  return {
    begun: () => waiting.length,
    end: (at: number) => waiting[at]?.resolve(),
    fail: (at: number) => waiting[at]?.reject(new FshError("NO_SPACE")),
    flush: () => {
      const one = Promise.withResolvers<void>();
      waiting.push(one);
      return one.promise;
    },
  };
}

Deno.test("those who ask while a flush runs share the next one, which begins after they asked", async () => {
  const shared = new SharedFlush();
  const { begun, end, flush } = flushes();
  const first = shared.request("a", flush);
  const others = [1, 2, 3].map(() => shared.request("a", flush));
  assertEquals(begun(), 1);
  end(0);
  await first;
  while (begun() < 2) await Promise.resolve();
  end(1);
  await Promise.all(others);
  assertEquals(begun(), 2);
});

Deno.test("different things are flushed apart, and one that is over begins anew", async () => {
  const shared = new SharedFlush();
  const { begun, end, flush } = flushes();
  const [a, b] = [shared.request("a", flush), shared.request("b", flush)];
  assertEquals(begun(), 2);
  end(0);
  end(1);
  await Promise.all([a, b]);
  const again = shared.request("a", flush);
  assertEquals(begun(), 3);
  end(2);
  await again;
});

Deno.test("a flush that fails fails for those who share it, and the next one runs all the same", async () => {
  const shared = new SharedFlush();
  const { begun, end, fail, flush } = flushes();
  const first = shared.request("a", flush);
  const second = shared.request("a", flush);
  fail(0);
  await assertFails(() => first, "NO_SPACE");
  while (begun() < 2) await Promise.resolve();
  end(1);
  await second;
});
