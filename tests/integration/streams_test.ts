import { assert, assertEquals } from "@std/assert";
import { withDeadline } from "../../lib/base/clock.ts";
import { FshError } from "../../lib/base/errors.ts";
import type { Client } from "../../lib/client/client.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { Collector, pausedSource, sourceOf } from "../support/sources.ts";
import { load, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(1_000_000);

async function got(client: Client, path: string): Promise<Uint8Array> {
  const collector = new Collector();
  await client.get(path, { open: () => collector.sink });
  return collector.bytes;
}

Deno.test("50 gets at once in one session all arrive whole", async () => {
  await using running = await RunningServer.start();
  for (let i = 0; i < 50; i++) await store(running.storage, `/${i}`, SOME.subarray(i * 1000));
  const client = await running.client({ limits: { heartbeat: 0, window: 256 * 1024 } });
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => got(client, `/${i}`)));
  all.forEach((bytes, i) => assertEquals(bytes, SOME.subarray(i * 1000)));
});

Deno.test("gets and puts at once in several sessions do not mix", async () => {
  await using running = await RunningServer.start({ memory: { chunk: 7777, capacity: 20_000 } });
  await store(running.storage, "/common", SOME);
  await Promise.all(Array.from({ length: 5 }, async (_, session) => {
    const client = await running.client();
    await Promise.all(Array.from({ length: 4 }, async (_, i) => {
      const path = `/${session}-${i}`;
      const own = SOME.slice(0, 100_000 + 50_000 * i + session);
      const [common] = await Promise.all([
        got(client, "/common"),
        client.put(path, sourceOf(own, 30_000), { size: own.length }),
      ]);
      assertEquals(common, SOME);
      assertEquals(await load(running.storage, path), own);
    }));
  }));
});

Deno.test("a consumer that takes nothing blocks its own stream and no other", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/big", pattern(5_000_000));
  await store(running.storage, "/small", "small");
  const client = await running.client({ limits: { heartbeat: 0, window: 256 * 1024 } });
  const gate = Promise.withResolvers<void>();
  let taken = 0;
  const slow = client.get("/big", {
    open: () => async (chunk) => {
      taken += chunk.length;
      await gate.promise;
    },
  });
  for (let i = 0; i < 20; i++) assertEquals((await got(client, "/small")).length, 5);
  assertEquals(await got(client, "/big"), pattern(5_000_000));
  assert(taken <= 256 * 1024, `${taken} bytes taken`);
  assert(await client.ping() < 1000);
  gate.resolve();
  assertEquals((await slow).size, 5_000_000);
});

Deno.test("a put that the server cannot take fast enough blocks its own stream and no other", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  const paused = pausedSource(SOME);
  const putting = client.put("/paused", paused, { size: SOME.length });
  await client.put("/other", sourceOf(SOME), { size: SOME.length });
  await assertFails(() => client.stat("/paused"), "NOT_FOUND");
  paused.go();
  await putting;
  assertEquals(await load(running.storage, "/paused"), SOME);
});

for (const window of [256 * 1024, 300_000, 1024 * 1024, 4 * 1024 * 1024]) {
  Deno.test(`a window of ${window} bytes carries transfers of odd reads and long listings both ways`, async () => {
    await using running = await RunningServer.start({ limits: { window, maxStreams: 64, heartbeat: 0, misses: 3 } });
    const client = await running.client({ limits: { heartbeat: 0, window } });
    // A short read first: what is left of the window must still take the next, longer one.
    const putting = client.put("/a", pausedAfter(window / 4 - 1), { size: SOME.length });
    await withDeadline(putting, 20_000, () => new Error("both sides wait for each other"));
    assertEquals(await load(running.storage, "/a"), SOME);
    assertEquals(await got(client, "/a"), SOME);
    for (let i = 0; i < 400; i++) await store(running.storage, `/${"x".repeat(200)}${i}`, "");
    let count = 0;
    for await (const page of client.list("/")) count += page.length;
    assertEquals(count, 401);
  });
}

/** A source of SOME whose first read is short. */
function pausedAfter(first: number) {
  const source = pausedSource(SOME.subarray(0, first), SOME.subarray(first));
  source.go();
  return source;
}

Deno.test("a stream too many is refused by name, and the session goes on", async () => {
  await using running = await RunningServer.start({
    limits: { window: 256 * 1024, maxStreams: 3, heartbeat: 0, misses: 3 },
  });
  const peer = await running.peer();
  for (const stream of [1, 3, 5]) {
    await peer.send("PUT", stream, {
      path: `/${stream}`,
      size: null,
      modified: null,
      mode: null,
      algorithm: "crc32",
      options: 0,
      key: "",
    });
  }
  await peer.send("STAT", 7, { path: "/" }, true);
  assertEquals(await peer.error(), { error: "TOO_MANY_STREAMS", stream: 7, subject: "" });
  await peer.send("CANCEL", 1, { code: 4 });
  // It counts until it has noticed.
  let answer: string | undefined;
  for (let stream = 9; answer !== "INFO" && stream < 1000; stream += 2) {
    await peer.send("STAT", stream, { path: "/" }, true);
    answer = (await peer.next())?.message.name;
  }
  assertEquals(answer, "INFO");
});

Deno.test("requests beyond what the server takes at once wait for their turn", async () => {
  await using running = await RunningServer.start({
    limits: { window: 256 * 1024, maxStreams: 4, heartbeat: 0, misses: 3 },
  });
  const client = await running.client();
  const paused = Array.from({ length: 3 }, () => pausedSource(new Uint8Array(10)));
  const putting = paused.map((source, i) => client.put(`/${i}`, source, { size: 10 }));
  let done = 0;
  const more = Array.from({ length: 20 }, () => client.stat("/").finally(() => done++));
  const given = new AbortController();
  const cancelled = client.get("/", { signal: given.signal, open: () => () => {} });
  given.abort(new FshError("CANCELLED"));
  await assertFails(() => cancelled, "CANCELLED");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(done, 0);
  for (const source of paused) source.go();
  await Promise.all([...putting, ...more]);
  assertEquals((await client.stat("/0")).size, 10);
});

Deno.test("two puts of one path at once: one wins whole", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  const [one, two] = [new Uint8Array(700_000).fill(1), new Uint8Array(700_000).fill(2)];
  await Promise.all([one, two].map((bytes) => client.put("/a", sourceOf(bytes, 50_000), { size: bytes.length })));
  const content = await load(running.storage, "/a");
  assertEquals([content.length, new Set(content).size], [700_000, 1]);
});

Deno.test("what a saturating get leaves to a ping is not much", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/big", pattern(20_000_000));
  const client = await running.client();
  let done = false;
  const getting = client.get("/big", { open: () => () => {} }).then(() => done = true);
  const times: number[] = [];
  while (!done) times.push(await client.ping());
  await getting;
  times.sort((a, b) => a - b);
  assert((times[times.length >> 1] ?? 0) < 100, `median ${times[times.length >> 1]} ms of ${times.length}`);
});
