import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { TurnCork } from "../../../lib/transport/turn_cork.ts";
import type { NativeSocket } from "../../../lib/native/native.ts";

/** Notes what it is told. */
function corked() {
  const calls: boolean[] = [];
  let looks = 0;
  const socket = { cork: (on: boolean) => void calls.push(on) } as unknown as NativeSocket;
  const cork = new TurnCork(socket, () => {
    looks++;
    return false;
  });
  return { calls, cork, looks: () => looks };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

Deno.test("what is written in one turn goes together, and is let go in the next", async () => {
  const { calls, cork } = corked();
  cork.writing();
  cork.writing();
  assertEquals(calls, [true]);
  await turns(4);
  assertEquals(calls, [true, false]);
});

Deno.test("whoever holds on costs nothing while the turns pass, and what it held goes when it lets go", async () => {
  const { calls, cork, looks } = corked();
  cork.hold(true);
  await turns(50);
  assertEquals([calls, looks() <= 2], [[true], true]);
  cork.hold(false);
  await turns(4);
  assertEquals(calls, [true, false]);
  cork.writing();
  await turns(4);
  assertEquals(calls, [true, false, true, false]);
});
