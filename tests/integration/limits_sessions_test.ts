import { assert, assertEquals, assertMatch } from "@std/assert";
import { type ErrorName, FshError } from "../../lib/base/errors.ts";
import { MemoryBudget, SESSION_SHARE } from "../../lib/base/memory_budget.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { type LimitName, LIMITS, UNBOUNDED } from "../../lib/server/limits.ts";
import { accounts, PASSWORD } from "../support/accounts.ts";
import { assertFails } from "../support/named_errors.ts";
import { eventually } from "../support/program.ts";
import { type RunningOptions, RunningServer } from "../support/running_server.ts";

const ONE = { most: 1, local: true };

/** One metric's value; 0 where it has none. */
function metric(running: RunningServer, name: string, label = ""): number {
  const values = running.server.metrics.all().find((metric) => metric.name === name)?.values ?? [];
  return values.find(({ labels }) => label === "" || Object.values(labels).includes(label))?.value ?? 0;
}

/** A client was refused, told so, logged with who and how, and counted. */
function assertCounted(running: RunningServer, limit: LimitName, times = 1): void {
  const error: ErrorName | null = LIMITS[limit].error;
  assertEquals(running.server.metrics.hits(limit), times);
  assertEquals(metric(running, "fsh_limit_hits_total", LIMITS[limit].option), times);
  assertEquals(metric(running, "fsh_refused_total", error ?? ""), times);
}

for (
  const [limit, options] of [
    ["sessions", { maxSessions: 1 }],
    ["perAddress", { bounds: { perAddress: ONE } }],
    ["startups", { bounds: { startups: { start: 1, rate: 100, full: 1 } } }],
    ["memory", { budget: new MemoryBudget({ bytes: 2 * SESSION_SHARE }) }],
  ] as const satisfies [LimitName, RunningOptions][]
) {
  Deno.test(`${LIMITS[limit].option}: one more is refused at the door and told why; places are free again`, async () => {
    await using running = await RunningServer.start(options);
    // It says nothing, so that it is unauthenticated as well.
    const silent = await running.connection();
    await eventually("it to be taken", 1000, () => metric(running, "fsh_sessions") === 1);
    const error = await assertFails(() => running.client(), LIMITS[limit].error);
    assertEquals([error.remote, error.exit], [true, 3]);
    assertMatch(error.message, /again/);
    assertCounted(running, limit);
    const [line] = running.records.filter(({ message }) => message === "connection refused");
    assertEquals([line?.level, line?.fields.error, line?.fields.secure], ["warn", error.error, true]);
    assertMatch(String(line?.fields.remote), /^memory:\d+$/);
    silent.close();
    await eventually("its place to be free", 1000, () => metric(running, "fsh_sessions") === 0);
    for (let i = 0; i < 3; i++) await (await running.client()).close();
    assertCounted(running, limit);
    await running.quiet();
    assertEquals([metric(running, "fsh_sessions"), metric(running, "fsh_sessions_unauthenticated")], [0, 0]);
  });
}

Deno.test("whoever is in does not count among those who come in", async () => {
  await using running = await RunningServer.start({ bounds: { startups: { start: 1, rate: 100, full: 1 } } });
  const clients = [await running.client(), await running.client(), await running.client()];
  assertEquals([metric(running, "fsh_sessions"), metric(running, "fsh_sessions_unauthenticated")], [3, 0]);
  assertEquals(clients.length, 3);
});

Deno.test("every kind of end gives the place back, once: bye, cut, nonsense, refusal, deadline", async () => {
  const known = await accounts();
  await using running = await RunningServer.start({ ...known, handshakeTimeout: 1500 });
  const credentials = { user: "an", password: () => Promise.resolve(PASSWORD) };
  await (await running.client({ credentials })).close();
  (await running.client({ credentials })).session.abort(new FshError("INTERRUPTED"));
  await assertFails(
    () => running.client({ credentials: { user: "an", password: () => Promise.resolve("x") } }),
    "AUTH_FAILED",
  );
  const nonsense = await running.connection();
  await nonsense.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const slow = await running.connection();
  await slow.write(PREFACE);
  await eventually("all to be gone", 5000, () => metric(running, "fsh_sessions") === 0);
  assertEquals(metric(running, "fsh_sessions_unauthenticated"), 0);
  assertCounted(running, "handshake");
  assertEquals(metric(running, "fsh_refused_total", "BAD_PREFACE"), 1);
  assertEquals(metric(running, "fsh_refused_total", "AUTH_FAILED"), 1);
  assertEquals(metric(running, "fsh_sessions_opened_total"), 2);
  nonsense.close(), slow.close();
});

Deno.test("max-per-user: a user who has proved to be that has so many; a name that anybody may claim has no limit", async () => {
  await using running = await RunningServer.start({ ...await accounts(), bounds: { perUser: 1 } });
  const credentials = { user: "an", password: () => Promise.resolve(PASSWORD) };
  const first = await running.client({ credentials });
  const error = await assertFails(() => running.client({ credentials }), "TOO_MANY_OF_USER");
  assertEquals([error.remote, error.exit], [true, 3]);
  assertCounted(running, "perUser");
  const [line] = running.records.filter(({ message }) => message === "login refused");
  assertEquals([line?.fields.user, line?.fields.method, line?.fields.secure], ["an", "scram-sha-256", true]);
  await first.stat("/");
  await first.close();
  await eventually("it to have gone", 1000, () => metric(running, "fsh_sessions") === 0);
  await running.client({ credentials });
  await using open = await RunningServer.start({ bounds: { perUser: 1 } });
  await open.client({ user: "an" });
  await open.client({ user: "an" });
});

Deno.test("a crowd that is refused is held for a moment at the most, and those inside notice nothing", async () => {
  await using running = await RunningServer.start({ maxSessions: 1 });
  const client = await running.client();
  // They never read and never close: a hundred are told, the others are cut off.
  const crowd = await Promise.all(Array.from({ length: 300 }, () => running.connection()));
  const ends = crowd.map(async (connection) => {
    const buffer = new Uint8Array(1024);
    try {
      while (await connection.read(buffer) !== null);
      return "told";
    } catch {
      return "cut";
    }
  });
  await client.stat("/");
  const told = (await Promise.all(ends)).filter((end) => end === "told").length;
  assert(told > 0 && told <= 128, `${told} told`);
  assertCounted(running, "sessions", 300);
  for (const connection of crowd) connection.close();
});

Deno.test("max-log-lines: a peer that fails all the time is said to, then counted, and told of at the end", async () => {
  const running = await RunningServer.start({ bounds: { logLines: { most: 10, local: true } } });
  const client = await running.client();
  for (let i = 0; i < 50; i++) await assertFails(() => client.stat("/missing"), "NOT_FOUND");
  const lines = running.records.filter(({ level, fields }) => level === "info" && fields.remote !== undefined);
  assertEquals(lines.length, 10);
  assertEquals([metric(running, "fsh_log_lines_suppressed_total"), running.server.metrics.hits("logLines")], [41, 41]);
  await running[Symbol.asyncDispose]();
  const [left] = running.records.filter(({ message }) => message === "log lines left out");
  assertEquals(left?.fields, { address: "memory", lines: 42, limit: 10 });
});

Deno.test("without bounds an embedding program's server has none of them", async () => {
  assertEquals(UNBOUNDED.startups, null);
  await using running = await RunningServer.start({ maxSessions: 50 });
  const clients = await Promise.all(Array.from({ length: 50 }, () => running.client()));
  assertEquals(metric(running, "fsh_sessions"), clients.length);
});
