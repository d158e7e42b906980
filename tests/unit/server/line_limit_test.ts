import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { Log, type LogRecord } from "../../../lib/base/log.ts";
import { LineLimit, WINDOW } from "../../../lib/server/line_limit.ts";

function limited(most: number, local = false) {
  const clock = new ManualClock();
  const records: LogRecord[] = [];
  let suppressed = 0;
  const limit = new LineLimit({ most, local, clock, suppressed: () => void suppressed++ });
  const log = limit.wrap(new Log("debug", (record) => records.push(record)));
  const lines = () => records.splice(0).map(({ message }) => message);
  return { clock, records, limit, log, lines, count: () => suppressed };
}

Deno.test("of one address so many lines a minute, then one that says how many were left out, then anew", () => {
  const { clock, log, lines, records, count } = limited(2);
  const [noisy, quiet] = ["192.0.2.1:5", "192.0.2.2:5"].map((remote) => log.with({ remote }));
  for (let i = 0; i < 5; i++) noisy?.info(`noise ${i}`);
  quiet?.warn("heard");
  assertEquals(lines(), ["noise 0", "noise 1", "heard"]);
  clock.advance(WINDOW);
  assertEquals(records[0]?.fields, { address: "192.0.2.1", lines: 3, limit: 2 });
  assertEquals(lines(), ["log lines left out"]);
  noisy?.info("again");
  assertEquals([lines(), count()], [["again"], 3]);
});

Deno.test("another port is no other peer; errors, debug and what is about nobody always pass", () => {
  const { log, lines } = limited(1);
  log.with({ remote: "192.0.2.1:1" }).info("first");
  const same = log.with({ remote: "192.0.2.1:2" });
  same.info("second"), same.warn("third"), same.error("fourth"), same.debug("fifth");
  for (let i = 0; i < 3; i++) log.info("own");
  assertEquals(lines(), ["first", "fourth", "fifth", "own", "own", "own"]);
});

Deno.test("this machine's own lines are limited only if they should be; without a limit nothing is wrapped", () => {
  for (const [local, expected] of [[false, 3], [true, 1]] as const) {
    const { log, lines } = limited(1, local);
    for (let i = 0; i < 3; i++) log.info("line", { remote: "127.0.0.1:1" });
    assertEquals(lines().length, expected);
  }
  const { log } = limited(Infinity);
  log.info("line", { remote: "192.0.2.1:1" });
});

Deno.test("a million addresses take the memory of ten thousand, and no timer stays behind", () => {
  const { clock, limit, log, lines, count } = limited(1);
  for (let i = 0; i < 10_050; i++) log.info("line", { remote: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1` });
  // The last fifty share one place.
  assertEquals([lines().length, count()], [10_001, 49]);
  limit.flush();
  assertEquals(lines(), ["log lines left out"]);
  assertEquals(clock.pending, 0);
});
