import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { Budget, MOST_MESSAGES, MOST_TIME } from "../../../lib/discovery/budget.ts";

Deno.test("a second has so many messages and so much time for strangers, and the next one has as much again", () => {
  for (const [cost, most] of [[0, MOST_MESSAGES], [7, Math.ceil(MOST_TIME / 7)], [MOST_TIME + 1, 1]] as const) {
    const clock = new ManualClock();
    const budget = new Budget(clock);
    for (const second of [1, 2, 3]) {
      clock.advance(second * 1000 - clock.now());
      let done = 0;
      for (let i = 0; i < 2 * MOST_MESSAGES; i++) budget.spend(() => (done++, clock.advance(cost)));
      assertEquals(done, most, `${cost} ms each`);
    }
  }
});
