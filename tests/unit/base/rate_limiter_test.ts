import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { RateLimiter } from "../../../lib/base/rate_limiter.ts";

/** Takes chunks one after the other for some seconds; answers how many bytes went. */
async function taken(clock: ManualClock, limiter: RateLimiter, seconds: number, chunk: number): Promise<number> {
  let bytes = 0;
  let stop = false;
  const taking = (async () => {
    while (!stop) {
      await limiter.take(chunk);
      bytes += chunk;
    }
  })();
  for (let ms = 0; ms < seconds * 1000; ms += 10) {
    clock.advance(10);
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }
  stop = true;
  clock.advance(60_000);
  await taking;
  return bytes;
}

Deno.test("a limiter lets the rate pass, and little more at the start", async () => {
  const clock = new ManualClock();
  const bytes = await taken(clock, new RateLimiter(1_000_000, clock), 10, 10_000);
  assertEquals(bytes >= 10_000_000 && bytes <= 10_200_000, true, `${bytes} bytes in 10 s`);
});

Deno.test("those who share a limiter share its rate evenly", async () => {
  const clock = new ManualClock();
  const limiter = new RateLimiter(1_000_000, clock);
  const both = await Promise.all([taken(clock, limiter, 5, 10_000), taken(clock, limiter, 5, 10_000)]);
  const [one, other] = both;
  assertEquals(Math.abs(one - other) <= 20_000, true, both.join(" and "));
});

Deno.test("a single chunk takes as long as it should", async () => {
  const clock = new ManualClock();
  const limiter = new RateLimiter(1_000_000, clock);
  let passed = false;
  const taking = limiter.take(2_000_000)?.then(() => passed = true);
  clock.advance(1_800);
  await Promise.resolve();
  assertEquals(passed, false);
  clock.advance(200);
  await taking;
  assertEquals(passed, true);
});

Deno.test("time without use is not saved up", async () => {
  const clock = new ManualClock();
  const limiter = new RateLimiter(1_000_000, clock);
  clock.advance(60_000);
  const bytes = await taken(clock, limiter, 1, 10_000);
  assertEquals(bytes <= 1_200_000, true, `${bytes} bytes in 1 s`);
});
