import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { type WorkShare, type WorkTask, WorkTurns } from "../../../lib/base/work_turns.ts";

/** A scheduler whose event loop a test turns by hand. */
function scheduler() {
  const clock = new ManualClock();
  const due: (() => void)[] = [];
  const turns = new WorkTurns({ clock, after: (call) => due.push(call) });
  const round = async () => {
    for (const call of due.splice(0)) call();
    for (let i = 0; i < 5; i++) await undefined;
  };
  return { clock, turns, round };
}

const never = new AbortController().signal;

/** Works for ever, a millisecond at a time, and writes down whose turn it was. */
async function toil(task: WorkTask, { clock, log, name }: { clock: ManualClock; log: string[]; name: string }) {
  for (;;) {
    const turn = task.turn();
    if (turn) await turn;
    log.push(name);
    clock.advance(1);
  }
}

Deno.test("work that nobody is in the way of goes on at once, and lets the event loop turn after each turn", async () => {
  const { clock, turns, round } = scheduler();
  const log: string[] = [];
  toil(turns.join().task(never), { clock, log, name: "a" });
  assertEquals(log.length, 3);
  await round();
  assertEquals(log.length, 6);
});

Deno.test("no rest begins once it is closed, though a turn ends only then", () => {
  let rests = 0;
  class Counting extends ManualClock {
    override after(ms: number, call: () => void): () => void {
      rests++;
      return super.after(ms, call);
    }
  }
  for (const closed of [false, true]) {
    const due: (() => void)[] = [];
    const turns = new WorkTurns({ clock: new Counting(), after: (call) => due.push(call) });
    turns.join().moved();
    turns.join().task(never).turn();
    if (closed) turns.close();
    for (const call of due) call();
    assertEquals(rests, 1, closed ? "closed" : "open");
  }
});

Deno.test("sessions take turns of equal length, however many requests one of them has", async () => {
  const { clock, turns, round } = scheduler();
  const log: string[] = [];
  const greedy = turns.join();
  for (let i = 0; i < 50; i++) toil(greedy.task(never), { clock, log, name: "greedy" });
  toil(turns.join().task(never), { clock, log, name: "modest" });
  for (let i = 0; i < 100; i++) await round();
  const modest = log.filter((name) => name === "modest").length;
  assert(Math.abs(modest / log.length - 0.5) < 0.05, `${modest} of ${log.length}`);
});

Deno.test("a newcomer has the next turn, not the one behind all that wait", async () => {
  const { clock, turns, round } = scheduler();
  const log: string[] = [];
  for (let i = 0; i < 200; i++) toil(turns.join().task(never), { clock, log, name: "crowd" });
  for (let i = 0; i < 300; i++) await round();
  toil(turns.join().task(never), { clock, log, name: "new" });
  log.length = 0;
  for (let i = 0; i < 3; i++) await round();
  assert(log.includes("new"), log.join(" "));
});

Deno.test("transfers of others have two thirds of the time, and all work has all of it where none move", async () => {
  const { clock, turns, round } = scheduler();
  const transfers: WorkShare = turns.join();
  const log: string[] = [];
  const worker = turns.join();
  toil(worker.task(never), { clock, log, name: "a" });
  const begun = clock.now();
  for (let i = 0; i < 200; i++) {
    transfers.moved();
    await round();
    // What the event loop does meanwhile.
    clock.advance(1);
  }
  const share = log.length / (clock.now() - begun);
  assert(share < 0.45, `${share}`);
  assert(share > 0.2, `${share}`);
  // A session's own transfers are its own business.
  clock.advance(1000);
  log.length = 0;
  const then = clock.now();
  for (let i = 0; i < 50; i++) {
    worker.moved();
    await round();
  }
  assertEquals(log.length, clock.now() - then);
});

Deno.test("work that was given up gets no turn any more, and stops where it waits", async () => {
  const { clock, turns, round } = scheduler();
  const log: string[] = [];
  toil(turns.join().task(never), { clock, log, name: "a" });
  const given = new AbortController();
  const task = turns.join().task(given.signal);
  const waiting = task.turn();
  assert(waiting);
  given.abort(new Error("given up"));
  await assertRejects(() => waiting);
  await assertRejects(async () => await task.turn());
  for (let i = 0; i < 5; i++) await round();
  assert(log.length >= 15);
});

Deno.test("few large files of a session are read at once, and those given up meanwhile are not even opened", async () => {
  const { turns } = scheduler();
  const share = turns.join();
  const open = [0, 1, 2].map(() => Promise.withResolvers<void>());
  let opened = 0;
  const given = new AbortController();
  const read = (at: number, signal = never) =>
    share.task(signal).fewAtOnce(() => (opened++, open[at]?.promise ?? Promise.resolve()));
  const [first, second] = [read(0), read(1)];
  const third = read(2, given.signal);
  await undefined;
  assertEquals(opened, 2);
  given.abort(new Error("given up"));
  open[0]?.resolve();
  await first;
  await assertRejects(() => third);
  assertEquals(opened, 2);
  open[1]?.resolve();
  await second;
});

Deno.test("once closed no timer starts", async () => {
  const { clock, turns, round } = scheduler();
  const [mover, worker] = [turns.join(), turns.join()];
  mover.moved();
  worker.task(never).turn();
  turns.close();
  await round();
  assertEquals(clock.pending, 0);
});
