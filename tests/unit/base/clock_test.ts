import { assert, assertEquals } from "@std/assert";
import { ManualClock, systemClock, withDeadline } from "../../../lib/base/clock.ts";
import { FshError } from "../../../lib/base/errors.ts";
import { assertFails } from "../../support/named_errors.ts";

Deno.test("a manual clock runs timers in order, at their time, those set meanwhile too", () => {
  const clock = new ManualClock();
  const seen: [string, number][] = [];
  clock.after(20, () => seen.push(["late", clock.now()]));
  clock.after(10, () => {
    seen.push(["early", clock.now()]);
    clock.after(5, () => seen.push(["nested", clock.now()]));
  });
  clock.advance(9);
  assertEquals(seen, []);
  clock.advance(91);
  assertEquals(seen, [["early", 10], ["nested", 15], ["late", 20]]);
  assertEquals(clock.now(), 100);
});

Deno.test("a manual clock forgets cancelled timers", () => {
  const clock = new ManualClock();
  const cancel = clock.after(10, () => assert(false));
  cancel();
  clock.advance(100);
  assertEquals(clock.pending, 0);
});

Deno.test("the system's clock goes forward and cancels", async () => {
  const begun = systemClock.now();
  systemClock.after(60_000, () => assert(false))();
  await new Promise<void>((resolve) => systemClock.after(1, resolve));
  assert(systemClock.now() > begun);
});

Deno.test("a deadline that passes rejects with what the caller says", async () => {
  const never = new Promise<void>(() => {});
  await assertFails(() => withDeadline(never, 1, () => new FshError("CONNECT_TIMEOUT")), "CONNECT_TIMEOUT");
});

Deno.test("work that ends in time keeps its result and leaves no timer", async () => {
  assertEquals(await withDeadline(Promise.resolve(7), 60_000, () => new Error("late")), 7);
  assertEquals(await withDeadline(Promise.resolve(8), 0, () => new Error("late")), 8);
  await assertFails(
    () => withDeadline(Promise.reject(new FshError("EXISTS")), 60_000, () => new Error("late")),
    "EXISTS",
  );
});
