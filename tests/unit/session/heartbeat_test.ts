import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { Heartbeat } from "../../../lib/session/heartbeat.ts";

/** A heartbeat that writes down what it does. */
function beating(interval: number, misses: number) {
  const clock = new ManualClock();
  const pings: { nonce: number; at: number }[] = [];
  const deaths: { silence: number; at: number }[] = [];
  const heartbeat = new Heartbeat({
    clock,
    interval,
    misses,
    send: (nonce) => pings.push({ nonce, at: clock.now() }),
    dead: (silence) => deaths.push({ silence, at: clock.now() }),
  });
  return { clock, pings, deaths, heartbeat };
}

/** In small steps, as time really passes: a leap would look like this process having stood still. */
function pass(clock: ManualClock, ms: number): void {
  for (let left = ms; left > 0; left -= 10) clock.advance(Math.min(10, left));
}

Deno.test("heartbeat sends nothing before the interval is over", () => {
  const { clock, pings } = beating(1000, 3);
  clock.advance(999);
  assertEquals(pings.length, 0);
  clock.advance(1);
  assertEquals(pings.length, 1);
});

Deno.test("heartbeat counts a silent peer as dead after exactly (misses + 1) intervals, once", () => {
  for (const misses of [1, 3, 5]) {
    const { clock, pings, deaths } = beating(1000, misses);
    pass(clock, (misses + 1) * 1000 - 1);
    assertEquals(deaths, []);
    assertEquals(pings.map((ping) => ping.at), Array.from({ length: misses }, (_, i) => (i + 1) * 1000));
    pass(clock, 1);
    assertEquals(deaths, [{ silence: (misses + 1) * 1000, at: (misses + 1) * 1000 }]);
    pass(clock, 100_000);
    assertEquals(deaths.length, 1);
    assertEquals(pings.length, misses);
    assertEquals(clock.pending, 0);
  }
});

Deno.test("any sign of life gives the peer its full time again", () => {
  const { clock, deaths, heartbeat } = beating(1000, 3);
  pass(clock, 3990);
  heartbeat.heard();
  pass(clock, 3999);
  assertEquals(deaths, []);
  pass(clock, 1);
  assertEquals(deaths, [{ silence: 4000, at: 7990 }]);
});

Deno.test("a peer that is heard all the time is never asked", () => {
  const { clock, pings, heartbeat } = beating(1000, 3);
  for (let i = 0; i < 100; i++) {
    pass(clock, 900);
    heartbeat.heard();
  }
  assertEquals(pings, []);
});

Deno.test("a PONG alone does not prove what heard does not", () => {
  const { clock, deaths, heartbeat, pings } = beating(1000, 1);
  pass(clock, 1500);
  heartbeat.pong(pings[0]?.nonce ?? 0);
  heartbeat.heard();
  pass(clock, 1999);
  assertEquals(deaths, []);
});

Deno.test("when this process itself stood still, the peer is not blamed", () => {
  const { clock, deaths, pings } = beating(1000, 3);
  // As after SIGSTOP: the timer that was due at 1000 fires an hour late.
  const stopped = new StandingClock();
  let dead = 0;
  let asked = 0;
  new Heartbeat({ clock: stopped, interval: 1000, misses: 3, send: () => asked++, dead: () => dead++ });
  stopped.leap(3_600_000);
  assertEquals([dead, asked], [0, 0]);
  for (let i = 0; i < 399; i++) stopped.leap(10);
  assertEquals(dead, 0);
  stopped.leap(10);
  assertEquals(dead, 1);
  assertEquals([clock.now(), deaths.length, pings.length], [0, 0, 0]);
});

Deno.test("ping resolves to the round trip, told apart by its nonce", async () => {
  const { clock, pings, heartbeat } = beating(0, 3);
  const first = heartbeat.ping();
  clock.advance(5);
  const second = heartbeat.ping();
  clock.advance(7);
  assertEquals(pings.length, 2);
  heartbeat.pong(pings[1]?.nonce ?? 0);
  heartbeat.pong(pings[0]?.nonce ?? 0);
  assertEquals([await first, await second], [12, 7]);
  assertEquals(heartbeat.roundTrip, 12);
});

Deno.test("a PONG that nobody asked for changes nothing", () => {
  const { heartbeat } = beating(1000, 3);
  heartbeat.pong(77);
  assertEquals(heartbeat.roundTrip, null);
  heartbeat.stop();
});

Deno.test("an interval of 0 means no heartbeat", () => {
  const { clock, pings, deaths } = beating(0, 3);
  assertEquals(clock.pending, 0);
  clock.advance(1e9);
  assertEquals([pings.length, deaths.length], [0, 0]);
});

Deno.test("a stopped heartbeat leaves no timer and says nothing more", () => {
  const { clock, pings, deaths, heartbeat } = beating(1000, 3);
  pass(clock, 1500);
  heartbeat.stop();
  assertEquals(clock.pending, 0);
  pass(clock, 10_000);
  assertEquals([pings.length, deaths.length], [1, 0]);
});

/** Timers fire only after a leap, all at the late time, as in a process that was stopped. */
class StandingClock {
  #now = 0;
  #timers: { at: number; call: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((other) => other !== timer);
  }

  leap(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const { call } of due) call();
    assert(this.#timers.length <= 1);
  }
}
