import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import type { Stream } from "../../../lib/session/stream.ts";
import { StreamTable } from "../../../lib/session/stream_table.ts";

Deno.test("requests begin in the order of their numbers, those that come while others wait for a place, too", () => {
  const clock = new ManualClock();
  const table = new StreamTable({ clock, most: () => 8 });
  const begun: number[] = [];
  const open = () => {
    const stream = { id: table.next() } as Stream;
    table.begin(stream, () => void begun.push(stream.id));
    return stream;
  };
  const streams = Array.from({ length: 9 }, open);
  assertEquals(begun, [1, 3, 5, 7, 9, 11]);
  // There are places now, and the next of those that wait has not been told.
  for (const stream of streams.slice(0, 2)) table.remove(stream);
  open();
  assertEquals(begun.length, 6);
  clock.advance(1);
  assertEquals(begun, [1, 3, 5, 7, 9, 11, 13, 15]);
  for (const stream of streams.slice(2)) table.remove(stream);
  clock.advance(1);
  assertEquals(begun, [1, 3, 5, 7, 9, 11, 13, 15, 19]);
});
