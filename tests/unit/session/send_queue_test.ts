import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { type Batch, SendQueue } from "../../../lib/session/send_queue.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

const GATHER = 64 * 1024;

/** A frame whose every byte tells whose it is. */
function frame(owner: number, length = 20): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).fill(owner);
}

/** Whose frames are in a batch, in order, one number per run of equal bytes. */
function owners(batch: Batch | null): number[] {
  const seen: number[] = [];
  for (const byte of batch?.bytes ?? []) if (seen.at(-1) !== byte) seen.push(byte);
  return seen;
}

function queue(queue: SendQueue, stream: number, length?: number): void {
  queue.push(stream, frame(stream, length)).catch(() => {});
}

Deno.test("control frames overtake all that wait", () => {
  const one = new SendQueue();
  queue(one, 1, 1_000_000);
  queue(one, 3, 1_000_000);
  one.pushControl(frame(99));
  assertEquals(owners(one.take()), [99]);
  assertEquals(owners(one.take()), [1]);
  one.pushControl(frame(98));
  assertEquals(owners(one.take()), [98]);
  assertEquals(owners(one.take()), [3]);
  assertEquals(one.take(), null);
});

Deno.test("control frames keep their order and go out as one write", () => {
  const one = new SendQueue();
  for (let i = 1; i <= 5; i++) one.pushControl(frame(i));
  assertEquals(owners(one.take()), [1, 2, 3, 4, 5]);
  assertEquals(one.empty, true);
});

Deno.test("streams take turns, a frame each, and keep their own order", () => {
  const one = new SendQueue();
  for (let i = 0; i < 3; i++) for (const stream of [1, 3, 5]) queue(one, stream, GATHER);
  const order: number[] = [];
  for (let batch; (batch = one.take()) !== null;) order.push(...owners(batch));
  assertEquals(order, [1, 3, 5, 1, 3, 5, 1, 3, 5]);
});

Deno.test("one stream's order is kept in a gathered write", async () => {
  const one = new SendQueue();
  const pushed = [1, 2, 3].map((value) => one.push(7, frame(value)));
  const batch = one.take();
  assertEquals(owners(batch), [1, 2, 3]);
  batch?.written();
  await Promise.all(pushed);
});

Deno.test("small frames are gathered up to a limit, a large one is written where it stands", () => {
  const one = new SendQueue();
  for (let stream = 1; stream < 200; stream += 2) queue(one, stream, 1000);
  const large = frame(201, 1_000_000);
  one.push(201, large).catch(() => {});
  let batch = one.take();
  assertLessOrEqual(batch?.bytes.length ?? 0, GATHER);
  assertEquals(owners(batch).length, 65);
  batch = one.take();
  assertEquals(owners(batch).length, 35);
  assert(one.take()?.bytes === large);
});

Deno.test("a push resolves when its frame was written, not when it was taken", async () => {
  const one = new SendQueue();
  let written = false;
  const pushed = one.push(1, frame(1)).then(() => written = true);
  const batch = one.take();
  await Promise.resolve();
  assertEquals(written, false);
  batch?.written();
  await pushed;
  assertEquals(written, true);
});

Deno.test("a batch that could not be written rejects those whose frames were in it", async () => {
  const one = new SendQueue();
  const pushed = one.push(1, frame(1));
  one.take()?.failed(new FshError("CONNECTION_RESET"));
  await assertFails(() => pushed, "CONNECTION_RESET");
});

Deno.test("control frames that nobody reads are a FLOOD, and memory stays bounded", () => {
  const one = new SendQueue();
  let bytes = 0;
  assertThrowsError(() => {
    for (;;) {
      one.pushControl(frame(1, 24));
      bytes += 24;
      assertLessOrEqual(bytes, 64 * 1024);
    }
  }, "FLOOD");
  assertEquals(one.take()?.bytes.length, bytes);
  one.pushControl(frame(1));
});

Deno.test("drop rejects one stream's frames and leaves the others", async () => {
  const one = new SendQueue();
  const dropped = [one.push(1, frame(1)), one.push(1, frame(1))];
  queue(one, 3);
  one.drop(1, new FshError("CANCELLED"));
  for (const push of dropped) await assertFails(() => push, "CANCELLED");
  assertEquals(owners(one.take()), [3]);
});

Deno.test("a failed queue rejects what waits and what comes, and wakes the writer", async () => {
  const one = new SendQueue();
  const ready = one.ready();
  one.fail(new FshError("CONNECTION_LOST"));
  await ready;
  await assertFails(() => one.push(1, frame(1)), "CONNECTION_LOST");
  one.pushControl(frame(1));
  assertEquals(one.take(), null);
});

Deno.test("ready waits for something to take", async () => {
  const one = new SendQueue();
  let woke = false;
  const ready = one.ready().then(() => woke = true);
  await Promise.resolve();
  assertEquals(woke, false);
  queue(one, 1);
  await ready;
  assertEquals(woke, true);
});
