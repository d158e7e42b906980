import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import type { MemoryAccount } from "../../lib/base/memory_account.ts";
import { MemoryBudget } from "../../lib/base/memory_budget.ts";
import { SEAT } from "../../lib/base/memory_shares.ts";
import { loneSession } from "../support/lone_session.ts";
import { rawFrame } from "../support/raw_frame.ts";
import { RunningServer } from "../support/running_server.ts";

const MIB = 1024 ** 2;
const LIMITS = { window: MIB, maxStreams: 8, heartbeat: 0, misses: 1 };
const PUT = { path: "/new", size: null, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" } as const;
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

function open(budget: MemoryBudget): MemoryAccount {
  const account = budget.open();
  assert(account);
  return account;
}

Deno.test("a session that is not read for want of memory does not count as waiting for its peer", async () => {
  const clock = new ManualClock();
  const budget = new MemoryBudget({ bytes: 16 * MIB, clock });
  const { session, peer } = loneSession({
    clock,
    memory: open(budget),
    limits: LIMITS,
    serve: async (stream) => {
      await stream.drain(() => {});
    },
  });
  const started = session.start();
  await peer.shakeHands();
  await started;
  await peer.send("PUT", 1, PUT);
  await settle();
  assertEquals(session.waiting().length, 1);
  const all = await open(budget).take(4 * MIB);
  const seats = [];
  for (let lease; (lease = open(budget).tryTake(SEAT));) seats.push(lease);
  const sending = peer.sendData(1, new Uint8Array(200_000));
  await settle();
  assertEquals([session.waiting().length, budget.isWanted], [0, true]);
  for (const lease of [all, ...seats]) lease.release();
  await sending;
  await settle();
  assertEquals(session.waiting().length, 1);
  peer.close();
  await session.ended;
});

Deno.test("a session that keeps memory for nothing while others wait is dropped, and counted", async () => {
  const clock = new ManualClock();
  const budget = new MemoryBudget({ bytes: 16 * MIB, clock });
  await using running = await RunningServer.start({ budget, clock, limits: LIMITS });
  const peer = await running.peer();
  await peer.send("PUT", 1, PUT);
  await peer.sendData(1, new Uint8Array(200_000));
  // The half of a frame.
  await peer.sendBytes(rawFrame({ type: 0x10, stream: 1, length: 200_000 }));
  await peer.sendBytes(new Uint8Array(100_000));
  const waiting = open(budget).take(4 * MIB);
  await settle();
  assert(waiting instanceof Promise && budget.isWanted);
  clock.advance(5500);
  assertEquals((await peer.error()).error, "HOLDS_MEMORY");
  peer.close();
  (await waiting).release();
  await running.quiet();
  assertEquals(running.server.metrics.hits("memory"), 1);
});
