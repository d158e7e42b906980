import { assert, assertEquals } from "@std/assert";
import { ManualClock, withDeadline } from "../../lib/base/clock.ts";
import { MemoryBudget, SESSION_SHARE } from "../../lib/base/memory_budget.ts";
import { OPTION_CONTINUE } from "../../lib/wire/frames.ts";
import { HookedServer, pluginOf } from "../support/hooked_server.ts";
import { RunningServer } from "../support/running_server.ts";
import { Collector, pausedSource, sourceOf } from "../support/sources.ts";
import { load, pattern, store } from "../support/stored_files.ts";

const MIB = 1024 ** 2;
/** Seven seats and 4 MiB beyond them, hardly more than the largest receive buffer: nearly everything has to wait for its turn. */
const TINY = 16 * MIB;
const SOME = pattern(3_000_000);
const PUT = { size: null, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" } as const;
const LIMITS = { window: 4 * MIB, maxStreams: 64, heartbeat: 0, misses: 3 };

/** Well before those who wait are taken to wait for each other, which ends a session. */
function inTime<T>(work: Promise<T>): Promise<T> {
  return withDeadline(work, 12_000, () => new Error("it waits for itself"));
}

async function nothingHeld(running: RunningServer, budget: MemoryBudget): Promise<void> {
  await running.quiet();
  for (let i = 0; i < 500 && budget.used > 0; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  assertEquals(budget.used, 0);
}

Deno.test("with hardly any memory everything still goes through, and everything is given back", async () => {
  const budget = new MemoryBudget({ bytes: TINY });
  await using running = await RunningServer.start({ budget, limits: LIMITS });
  await store(running.storage, "/some", SOME);
  for (let i = 0; i < 100; i++) await store(running.storage, `/small-${i}`, SOME.subarray(i, 30_000 + i));
  await Promise.all(Array.from({ length: 12 }, async (_, number) => {
    const client = await running.client({ limits: { heartbeat: 0, window: 4 * MIB } });
    const collector = new Collector();
    await Promise.all([
      client.get("/some", { open: () => collector.sink }),
      client.put(`/put-${number}`, sourceOf(SOME, 700_000), { size: SOME.length }),
      client.hash("/some"),
      client.getSmall(Array.from({ length: 100 }, (_, i) => `/small-${i}`), {
        algorithm: "crc32",
        limit: 65536,
        take: async () => {},
      }),
      client.putSmall(
        Array.from({ length: 20 }, (_, i) => {
          return { path: `/n${number}-${i}`, content: SOME.slice(i, 20_000 + i), modified: null, mode: null };
        }),
        { algorithm: "crc32" },
      ),
      (async () => {
        for await (const _ of client.list("/", { recursive: true }));
      })(),
    ]);
    assertEquals(collector.bytes, SOME);
    await client.close();
  }));
  assertEquals((await load(running.storage, "/put-11")).length, SOME.length);
  await nothingHeld(running, budget);
});

Deno.test("whichever way a session ends, all of its memory is given back", async () => {
  const budget = new MemoryBudget({ bytes: 64 * MIB });
  await using running = await RunningServer.start({ budget, limits: LIMITS, memory: { capacity: 100_000 } });
  await store(running.storage, "/some", SOME);
  const ends: ((number: number) => Promise<void>)[] = [
    // Cut off in the middle of a frame.
    async (number) => {
      const peer = await running.peer();
      await peer.send("PUT", 1, { ...PUT, path: `/cut-${number}` });
      peer.sendData(1, SOME.subarray(0, MIB)).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      peer.connection.abort();
    },
    // A get that is not read, and then cut off.
    async () => {
      const peer = await running.peer();
      const get = { path: "/some", offset: 0, length: null, algorithm: "none", prefix: new Uint8Array() };
      await peer.send("GET", 1, { ...get, options: 0, priority: 1 }, true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert(budget.used > 0);
      peer.connection.abort();
    },
    // Something that breaks the protocol while data waits.
    async (number) => {
      const peer = await running.peer();
      await peer.send("PUT", 1, { ...PUT, path: `/breach-${number}` });
      await peer.sendData(1, SOME.subarray(0, 50_000));
      await peer.send("READY", 0, { session: "", user: "" });
      await peer.rest();
    },
    // Given up by the client.
    async (number) => {
      const client = await running.client();
      const stop = new AbortController();
      const source = pausedSource(SOME.subarray(0, 100_000));
      const putting = client.put(`/given-up-${number}`, source, { size: null, signal: stop.signal }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      stop.abort();
      source.go();
      await putting;
      await client.close();
    },
  ];
  for (let round = 0; round < 3; round++) await Promise.all(ends.map((end) => end(round)));
  await nothingHeld(running, budget);
});

Deno.test("puts that a plugin looks at need no more memory than there is, one after the other or many at once", async () => {
  const budget = new MemoryBudget({ bytes: 32 * MIB });
  let seen = 0;
  const plugin = pluginOf({
    content: async ({ chunk }) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen += chunk.length;
    },
  });
  await using server = await HookedServer.start({ budget, limits: LIMITS, plugins: [plugin] });
  const client = await server.running.client();
  await inTime(client.put("/large", sourceOf(SOME), { size: SOME.length }));
  const small = SOME.subarray(0, 200_000);
  const puts = Array.from({ length: 30 }, (_, i) => client.put(`/small-${i}`, sourceOf(small), { size: small.length }));
  await inTime(Promise.all(puts));
  assertEquals(seen, SOME.length + 30 * small.length);
  await client.close();
  await nothingHeld(server.running, budget);
});

Deno.test("a put that is continued holds no memory while its client thinks it over", async () => {
  const budget = new MemoryBudget({ bytes: TINY });
  await using running = await RunningServer.start({ budget, limits: LIMITS });
  const put = { ...PUT, path: "/new", key: "k" };
  const first = await running.peer();
  await first.send("PUT", 1, put);
  await first.sendData(1, SOME.subarray(0, 200_000));
  await first.send("CANCEL", 1, { code: 55 });
  await first.send("PING", 0, { nonce: 1 });
  await first.expect("PONG");
  const idle = budget.used;
  await first.send("PUT", 3, { ...put, options: OPTION_CONTINUE });
  assertEquals((await first.expect("ACCEPT")).fields.offset, 200_000);
  assert(budget.used <= idle, `${budget.used - idle} bytes more are held`);
});

Deno.test("a session that has failed gives its receive buffer back before its last words have come through", async () => {
  const clock = new ManualClock();
  const budget = new MemoryBudget({ bytes: 64 * MIB });
  // The last words take until this clock goes on, which it does not.
  await using running = await RunningServer.start({ budget, clock, limits: LIMITS });
  const peer = await running.peer();
  await peer.send("PUT", 1, { ...PUT, path: "/new" });
  await peer.sendData(1, SOME.subarray(0, MIB));
  await peer.sendData(1, SOME.subarray(0, MIB));
  assert(budget.used > MIB);
  await peer.send("READY", 0, { session: "", user: "" });
  assertEquals((await peer.error()).error, "WRONG_SENDER");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([budget.used, running.server.sessionCount], [SESSION_SHARE, 1]);
  peer.close();
  await nothingHeld(running, budget);
});
