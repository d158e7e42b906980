import { assert, assertThrows } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { isError } from "../../../lib/base/errors.ts";
import { FloodLimit } from "../../../lib/session/flood_limit.ts";

Deno.test("frames as often as anybody needs them are no flood", () => {
  const clock = new ManualClock();
  const limit = new FloodLimit("PING", clock);
  for (let i = 0; i < 100_000; i++) {
    limit.count();
    clock.advance(10);
  }
});

Deno.test("a burst is none, a burst that does not end is", () => {
  const clock = new ManualClock();
  const limit = new FloodLimit("CANCEL", clock);
  for (let i = 0; i < 2000; i++) limit.count();
  clock.advance(5000);
  for (let i = 0; i < 1000; i++) limit.count();
  const error = assertThrows(() => {
    for (let i = 0; i < 2000; i++) limit.count();
  });
  assert(isError(error, "FLOOD"));
});
