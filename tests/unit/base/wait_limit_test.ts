import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { FshError } from "../../../lib/base/errors.ts";
import { WaitLimit } from "../../../lib/base/wait_limit.ts";

function waiting() {
  const clock = new ManualClock();
  const passed: string[] = [];
  const limit = new WaitLimit(clock, (error) => passed.push(error.error));
  return { clock, passed, limit };
}

const stalled = () => new FshError("STALLED");
const idle = () => new FshError("IDLE_TIMEOUT");

Deno.test("a wait that lasts too long is told once; one that ends in time is not", () => {
  const { clock, passed, limit } = waiting();
  limit.begin(100, stalled);
  clock.advance(99);
  assertEquals([limit.since, passed], [0, []]);
  limit.end();
  clock.advance(1000);
  assertEquals([limit.since, passed], [null, []]);
  limit.begin(100, stalled);
  clock.advance(100);
  assertEquals(passed, ["STALLED"]);
  clock.advance(1000);
  assertEquals(passed, ["STALLED"]);
});

Deno.test("what is extended in time goes on, and a shorter wait after a longer one is held to its own limit", () => {
  const { clock, passed, limit } = waiting();
  limit.begin(100, stalled);
  for (let i = 0; i < 10; i++) {
    clock.advance(90);
    limit.extend(100);
  }
  assertEquals(passed, []);
  limit.end();
  limit.begin(10, idle);
  clock.advance(10);
  assertEquals(passed, ["IDLE_TIMEOUT"]);
});

Deno.test("0 is no limit; at most one timer is set, and none after the end", () => {
  const { clock, passed, limit } = waiting();
  limit.begin(0, stalled);
  clock.advance(1e9);
  assertEquals([passed, clock.pending], [[], 0]);
  for (let i = 0; i < 100; i++) {
    limit.begin(100, stalled);
    limit.end();
  }
  assertEquals(clock.pending, 1);
  limit.stop();
  assertEquals(clock.pending, 0);
});
