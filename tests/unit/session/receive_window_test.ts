import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { ReceiveWindow } from "../../../lib/session/receive_window.ts";

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;

/** A window whose peer always sends all that it may, at a rate; answers how wide it is after some grants. */
function widthAfter(grants: number, link: { rate: () => number; roundTrip: () => number }): number {
  let now = 0;
  const window = new ReceiveWindow({ size: SIZE, now: () => now, roundTrip: link.roundTrip });
  let width = SIZE;
  for (let i = 0; i < grants; i++) {
    const bytes = SIZE / 2;
    now += bytes / link.rate();
    assert(window.spend(bytes));
    width += window.consume(bytes) - bytes;
  }
  return width;
}

Deno.test("a window stays as it is where the link holds no more", () => {
  assertEquals(widthAfter(100, { rate: () => 1_000_000, roundTrip: () => 0.1 }), SIZE);
});

Deno.test("a window grows to what a long and fast link holds, and to 64 MiB at the most", () => {
  const wide = widthAfter(100, { rate: () => 100_000, roundTrip: () => 40 });
  assertEquals(wide, 4 * 100_000 * 40);
  assertEquals(widthAfter(100, { rate: () => 10_000_000, roundTrip: () => 100 }), 64 * MIB);
});

Deno.test("a window that turns out too wide shrinks again, to twice what is needed", () => {
  const grown = widthAfter(10, { rate: () => 1_000_000, roundTrip: () => 20 });
  assertLessOrEqual(8 * SIZE, grown);
  let calls = 0;
  const width = widthAfter(200, { rate: () => 1_000_000, roundTrip: () => calls++ < 10 ? 20 : 0.1 });
  assertLessOrEqual(width, 2 * SIZE);
});

Deno.test("a slow spell of the reader does not shrink a wide window at once", () => {
  let calls = 0;
  const width = widthAfter(60, { rate: () => ++calls % 5 === 0 ? 1_000 : 100_000, roundTrip: () => 40 });
  assertLessOrEqual(4 * 100_000 * 40 * 0.99, width);
});

Deno.test("more than was granted is refused", () => {
  const window = new ReceiveWindow({ size: 100, now: () => 0, roundTrip: () => null });
  assertEquals([window.spend(60), window.consume(60), window.spend(100), window.spend(1)], [true, 60, true, false]);
});
