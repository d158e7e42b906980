import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import type { FshError } from "../../../lib/base/errors.ts";
import { Pace } from "../../../lib/server/pace.ts";
import type { SessionEnd } from "../../../lib/session/session_end.ts";
import type { Session } from "../../../lib/session/session.ts";

const LEAST = 10;

/** A session as the watch sees it. */
class Watched {
  carried = 0;
  readonly failed: string[] = [];
  streams: string[] = ["one"];
  closed = 0;
  /** The same object for the same name. */
  readonly #known = new Map<string, ReturnType<Session["waiting"]>[number]>();

  get openStreams(): number {
    return this.streams.length;
  }

  close(): Promise<SessionEnd> {
    this.closed++;
    return Promise.resolve({ how: "timed-out", error: null });
  }

  waiting() {
    return this.streams.map((name) => {
      const known = this.#known.get(name) ?? { fail: (error: FshError) => this.failed.push(`${name} ${error.error}`) };
      this.#known.set(name, known as ReturnType<Session["waiting"]>[number]);
      return known as ReturnType<Session["waiting"]>[number];
    });
  }
}

/** Each second for so long. */
function pass(seconds: number, each: (session: Watched, second: number) => void): string[] {
  const clock = new ManualClock();
  const session = new Watched();
  const pace = new Pace({ clock, least: LEAST, sessions: [session] });
  for (let second = 1; second <= seconds; second++) {
    each(session, second);
    clock.advance(1000);
  }
  pace.stop();
  assertEquals([clock.pending, session.closed > 0], [0, session.failed.length > 0]);
  return session.failed;
}

Deno.test("a byte a second is too slow, and told so after a minute", () => {
  assertEquals(pass(59, (session) => void session.carried++), []);
  assertEquals(pass(66, (session) => void session.carried++), ["one TOO_SLOW"]);
});

Deno.test("what moves at the least rate goes on, in whatever pieces", () => {
  assertEquals(pass(600, (session) => void (session.carried += LEAST)), []);
  assertEquals(pass(600, (session, second) => void (session.carried += second % 30 === 0 ? 16_384 : 0)), []);
});

Deno.test("a pause is no trickle, also when some bytes moved just before it", () => {
  assertEquals(pass(600, () => {}), []);
  assertEquals(pass(600, (session, second) => void (session.carried += second < 7 ? 1_000 : 0)), []);
  assertEquals(pass(600, (session, second) => void (session.carried += second === 8 ? 100 : 0)), []);
});

Deno.test("one byte now and then is a trickle, too", () => {
  const often = pass(300, (session, second) => void (session.carried += second % 20 === 0 ? 1 : 0));
  assertEquals(often.slice(0, 1), ["one TOO_SLOW"]);
});

Deno.test("what this side holds back is not waiting for the peer", () => {
  const busy = (session: Watched, second: number) => {
    session.carried++;
    session.streams = second % 20 < 5 ? [] : ["one"];
  };
  assertEquals(pass(600, busy), []);
});

Deno.test("one transfer after the other has a minute each; those that were there all along go together", () => {
  const changing = (session: Watched, second: number) => {
    session.carried++;
    session.streams = [`at ${Math.floor(second / 40)}`];
  };
  assertEquals(pass(600, changing), []);
  const several = (session: Watched, second: number) => {
    session.carried++;
    session.streams = second < 30 ? ["one", "two"] : ["one", "two", "late"];
  };
  assertEquals(pass(66, several), ["one TOO_SLOW", "two TOO_SLOW"]);
});
