import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { FshError } from "../../../lib/base/errors.ts";
import type { MemoryAccount } from "../../../lib/base/memory_account.ts";
import { MemoryBudget } from "../../../lib/base/memory_budget.ts";
import { assertFails } from "../../support/named_errors.ts";
import { type Lease, SEAT, SESSION_SHARE, SHARED_REQUESTS } from "../../../lib/base/memory_shares.ts";

const MIB = 1024 ** 2;
/** A quarter of 64 MiB is 16 MiB: 31 seats, and as much beyond them. */
const SIZE = 64 * MIB;

function open(budget: MemoryBudget): MemoryAccount {
  const account = budget.open();
  assert(account);
  return account;
}

/** What a lease was or will be granted as; null until then. */
function pending(lease: Lease | Promise<Lease>): { lease: Lease | null } {
  const state: { lease: Lease | null } = { lease: null };
  if (lease instanceof Promise) lease.then((granted) => state.lease = granted, () => {});
  else state.lease = lease;
  return state;
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("as many sessions as their half of the budget holds, and one more when one has gone", () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  assertEquals(budget.sessions, Math.floor(SIZE / 2 / SESSION_SHARE));
  const accounts = Array.from({ length: budget.sessions }, () => open(budget));
  assertEquals(budget.open(), null);
  accounts[0]?.close(new FshError("CONNECTION_LOST"));
  assert(budget.open());
});

Deno.test("a request is refused where many others are, but some are every session's", () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  let greedy = 0;
  const first = open(budget);
  while (first.request(100)) greedy++;
  assert(greedy > SHARED_REQUESTS && greedy < 2000, `${greedy}`);
  for (let i = 0; i < 300; i++) {
    const account = open(budget);
    for (let n = 0; n < SHARED_REQUESTS; n++) assert(account.request(100));
    while (account.request(100));
  }
  // Half of the shares is there for more sessions.
  assert(budget.open());
});

Deno.test("one who takes all that there is leaves everybody a seat", async () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  const greedy = Array.from({ length: 8 }, () => open(budget));
  for (const account of greedy) while (account.tryTake(MIB, 3 * MIB));
  const honest = open(budget);
  const lease = honest.tryTake(64 * 1024, MIB);
  assertEquals(lease?.bytes, 64 * 1024);
  const more = pending(honest.take(SEAT));
  await settled();
  assertEquals(more.lease, null);
  lease?.release();
  await settled();
  assertEquals(more.lease?.bytes, SEAT);
});

Deno.test("waiting accounts are served in turn, one wish each", async () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  const holder = open(budget);
  const held: Lease[] = [];
  // One account has an eighth of what is beyond the seats, so it takes eight for all of it.
  for (let i = 0; i < 8; i++) {
    const account = i === 0 ? holder : open(budget);
    const lease = account.tryTake(2 * MIB);
    assert(lease);
    held.push(lease);
  }
  const [a, b] = [open(budget), open(budget)];
  const order: string[] = [];
  for (const [name, account] of [["a", a], ["a", a], ["a", a], ["b", b]] as const) {
    Promise.resolve(account.take(MIB)).then(() => order.push(name));
  }
  for (const lease of held) {
    lease.release();
    await settled();
  }
  assertEquals(order, ["a", "b", "a"]);
  // The third would be more than an eighth for one account.
});

Deno.test("who waits is refused once its session is over, and nothing is lost of what was held", async () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  const [one, other] = [open(budget), open(budget)];
  const leases = [one.tryTake(2 * MIB), one.tryTake(SEAT), one.request(10)];
  assert(leases.every((lease) => lease !== null));
  const waiting = Promise.resolve(one.take(2 * MIB));
  one.close(new FshError("CONNECTION_LOST"));
  await assertFails(() => waiting, "CONNECTION_LOST");
  await assertFails(() => Promise.resolve(one.take(1)), "CONNECTION_LOST");
  assert(budget.used > 2 * MIB);
  for (const lease of leases) {
    lease?.release();
    lease?.release();
  }
  other.close(new FshError("CONNECTION_LOST"));
  assertEquals(budget.used, 0);
  assertEquals(budget.isTight, false);
});

Deno.test("what arrived beyond the room for one frame has to be paid for or taken", async () => {
  const budget = new MemoryBudget({ bytes: SIZE, clock: new ManualClock() });
  const account = open(budget);
  account.arrived(MIB);
  assertEquals(account.settle(), undefined);
  account.arrived(MIB);
  assertEquals(account.settle(), undefined);
  account.arrived(MIB);
  const room = account.settle();
  let free = false;
  room?.then(() => free = true);
  await settled();
  assertEquals([room === undefined, free], [false, false]);
  account.arrived(-MIB);
  await settled();
  assert(free);
  account.arrived(-2 * MIB);
  account.close(new FshError("CONNECTION_LOST"));
  assertEquals(budget.used, 0);
});

Deno.test("while somebody waits, whoever keeps memory for a silent peer is dropped, and nobody else", async () => {
  const clock = new ManualClock();
  const budget = new MemoryBudget({ bytes: SIZE, clock });
  const evicted: string[] = [];
  const held: Lease[] = [];
  const hold = (name: string, since: number | null) => {
    const account = open(budget);
    const lease = account.tryTake(2 * MIB);
    assert(lease);
    held.push(lease);
    account.holder = {
      waitsSince: () => since,
      evict: (error) => {
        assertEquals(error.error, "HOLDS_MEMORY");
        evicted.push(name);
        lease.release();
      },
    };
  };
  hold("silent", 0);
  hold("busy", null);
  hold("recent", 58_000);
  for (let i = 0; i < 5; i++) hold(`other ${i}`, null);
  clock.advance(60_000);
  assertEquals(evicted, []);
  const waiting = pending(open(budget).take(2 * MIB));
  clock.advance(500);
  assertEquals([evicted, waiting.lease], [[], null]);
  clock.advance(1_000);
  await settled();
  assertEquals(evicted.includes("silent"), true);
  assertEquals(evicted.includes("busy"), false);
  assertEquals(waiting.lease?.bytes, 2 * MIB);
});
