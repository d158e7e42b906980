import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { type FrameShare, FrameShares } from "../../../lib/session/frame_shares.ts";

function sessions(count: number, othersMove = () => false) {
  const clock = new ManualClock();
  const all = new FrameShares(clock);
  return { all, clock, shares: Array.from({ length: count }, () => all.join(othersMove)) };
}

/** Spends unit by unit until the session is over its share, `most` at the most; answers how many. */
function spendAll(share: FrameShare, most: number): number {
  let spent = 0;
  while (spent < most && !share.isOver) share.spend(1), spent++;
  return spent;
}

/** Waits for the next slot, as many times as it takes. */
async function waitOver(share: FrameShare, clock: ManualClock): Promise<number> {
  let slots = 0;
  for (; share.isOver; slots++) {
    const waiting = share.wait();
    clock.advance(100);
    await waiting;
    share.spend(0);
  }
  return slots;
}

Deno.test("a session that is alone may have everything", () => {
  const { shares: [one] } = sessions(1);
  assertEquals(spendAll(one as FrameShare, 100_000), 100_000);
});

Deno.test("as long as the budget lasts everybody gets what they ask for", () => {
  const { shares } = sessions(4);
  for (const share of shares) assertEquals(spendAll(share, 1000), 1000);
});

Deno.test("once the budget is spent nobody gets more than an equal part of it", () => {
  const [first, second, third] = sessions(3).shares as [FrameShare, FrameShare, FrameShare];
  second.spend(50);
  third.spend(50);
  // The first takes all there is, and is stopped.
  assert(spendAll(first, 100_000) < 6000);
  assert(first.isOver);
  // The others still have theirs.
  assert(!second.isOver);
  const part = spendAll(second, 100_000);
  assert(part > 1500 && part < 1800, `${part}`);
});

Deno.test("a lone nuisance is stopped as well where transfers of others move", () => {
  const { shares: [one] } = sessions(1, () => true);
  const spent = spendAll(one as FrameShare, 100_000);
  assert(spent < 6000, `${spent}`);
});

Deno.test("what was too much is owed in later slots, and is forgiven in the end", async () => {
  const { clock, shares } = sessions(101);
  const [glutton, ...others] = shares as [FrameShare, ...FrameShare[]];
  for (const share of others) share.spend(1);
  spendAll(glutton, 100_000);
  assert(glutton.isOver);
  const waiting = glutton.wait();
  clock.advance(100);
  await waiting;
  for (const share of others) share.spend(1);
  assert(glutton.isOver, "nobody has spent anything in this slot, but it has in the last one");
  const slots = await waitOver(glutton, clock);
  assert(slots > 0 && slots <= 110, `${slots}`);
});

Deno.test("with 500 that ask for all they can, each slot costs no more than the budget and everybody's part", async () => {
  const { clock, shares } = sessions(500);
  for (let slot = 0; slot < 30; slot++) {
    let spent = 0;
    for (const share of shares) spent += spendAll(share, 100_000);
    // The first slot has the welcome of all.
    if (slot > 0) assert(spent <= 2 * 5000 + 500 * 11, `${spent} in slot ${slot}`);
    const waiting = shares.filter((share) => share.isOver).map((share) => share.wait());
    clock.advance(100);
    await Promise.all(waiting);
  }
});

Deno.test("whoever comes for little gets it at once, however busy the others are", () => {
  const { shares } = sessions(501);
  const [guest, ...others] = shares as [FrameShare, ...FrameShare[]];
  for (const share of others) spendAll(share, 1000);
  guest.spend(25);
  assert(!guest.isOver);
});

Deno.test("content pays for the frames that it needs", () => {
  const { shares } = sessions(500);
  const [honest, ...others] = shares as [FrameShare, ...FrameShare[]];
  for (const share of others) spendAll(share, 1000);
  for (let i = 0; i < 10_000; i++) {
    honest.earn(2 * 1024 * 1024);
    honest.spend(3);
    assert(!honest.isOver);
  }
  // And not for a flood behind it.
  assert(spendAll(honest, 100_000) < 500);
});

Deno.test("where timers come late the budget shrinks, and it grows again", async () => {
  const clock = new ManualClock();
  let late = 0;
  const all = new FrameShares({
    now: () => clock.now(),
    after: (ms, call) => clock.after(ms + late, call),
  });
  const [one, other] = [all.join(() => false), all.join(() => false)];
  const budget = async () => {
    other.spend(1);
    const spent = spendAll(one, 100_000);
    const waiting = all.next();
    clock.advance(100 + late);
    await waiting;
    return spent;
  };
  const full = await budget();
  late = 150;
  for (let i = 0; i < 10; i++) await budget();
  const small = all.part(2);
  assert(small < 1500, `${small}`);
  late = 0;
  for (let i = 0; i < 60; i++) await budget();
  assert(full > 4000);
  assertEquals(all.part(2), 2500);
});

Deno.test("once closed nobody waits and no timer starts", async () => {
  const { all, clock, shares: [one, other] } = sessions(2);
  other?.spend(50);
  spendAll(one as FrameShare, 100_000);
  assert(one?.isOver);
  all.close();
  assert(!one?.isOver);
  await one?.wait();
  assertEquals(clock.pending, 0);
});
