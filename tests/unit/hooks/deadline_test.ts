import { assert, assertEquals } from "@std/assert";
import { Deadline, passAfter } from "../../../lib/hooks/deadline.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("deadlines of one limit pass each in its time; what has ended does not, and no timer is left", async () => {
  const passed: [string, number][] = [];
  const begin = (name: string) => {
    const deadline = new Deadline();
    const begun = performance.now();
    deadline.onPass(() => passed.push([name, performance.now() - begun]));
    return passAfter(120, deadline);
  };
  const ended = begin("ended");
  begin("first");
  await sleep(60);
  const second = begin("second");
  const gone = begin("gone");
  ended();
  gone();
  while (passed.length < 2) await sleep(5);
  assertEquals(passed.map(([name]) => name), ["first", "second"]);
  for (const [name, after] of passed) assert(after >= 119, `${name} passed after ${after} ms`);
  second();
  // The sanitizers would find a timer that is left.
  begin("third")();
  assertEquals(passed.length, 2);
});

Deno.test("one that begins while another passes has its whole time", async () => {
  const begun = performance.now();
  const [first, second] = [new Deadline(), new Deadline()];
  const over = new Promise<number>((resolve) => second.onPass(() => resolve(performance.now() - begun)));
  first.onPass(() => passAfter(50, second));
  passAfter(50, first);
  assert(await over >= 99);
  assert(first.passed && second.passed);
});

Deno.test("limits of all lengths share the timer: each passes in its time, and one that ends takes no other's along", async () => {
  const begun = performance.now();
  const passed: number[] = [];
  const begin = (limit: number) => {
    const deadline = new Deadline();
    deadline.onPass(() => passed.push(limit, performance.now() - begun));
    return passAfter(limit, deadline);
  };
  begin(90);
  begin(5_000)();
  const short = begin(30);
  begin(60);
  short();
  // All at rest but for those above, then some that begin once the timer is set for them.
  for (let step = 0; step < 100; step++) await null;
  begin(40);
  while (passed.length < 6) await sleep(5);
  assertEquals(passed.filter((_, index) => index % 2 === 0), [40, 60, 90]);
  for (let at = 0; at < 6; at += 2) assert(Number(passed[at + 1]) >= Number(passed[at]) - 1, passed.join());
  begin(40)();
  for (let step = 0; step < 8; step++) await null;
  await new Promise<void>((resolve) => {
    const last = new Deadline();
    last.onPass(resolve);
    passAfter(20, last);
  });
});

Deno.test("listeners hear once that a deadline has passed", () => {
  const deadline = new Deadline();
  let heard = 0;
  deadline.onPass(() => heard++);
  assertEquals([deadline.passed, heard], [false, 0]);
  deadline.pass();
  deadline.pass();
  assertEquals([deadline.passed, heard], [true, 1]);
});
