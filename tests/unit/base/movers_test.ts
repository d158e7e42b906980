import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { Movers } from "../../../lib/base/movers.ts";

Deno.test("whoever moved something moves for a moment, to all others", () => {
  const clock = new ManualClock();
  const movers = new Movers<string>(clock);
  const seen = () => [movers.anyMove, ...["a", "b", "c"].map((one) => movers.othersMove(one))];
  assertEquals(seen(), [false, false, false, false]);
  movers.moved("a");
  assertEquals(seen(), [true, false, true, true]);
  clock.advance(30);
  movers.moved("b");
  movers.moved("b");
  assertEquals(seen(), [true, true, true, true]);
  clock.advance(30);
  assertEquals(seen(), [true, true, false, true]);
  clock.advance(30);
  assertEquals(seen(), [false, false, false, false]);
});
