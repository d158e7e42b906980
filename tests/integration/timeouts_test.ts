import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import { Client } from "../../lib/client/client.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { pausedSource } from "../support/sources.ts";
import { namesIn, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(2_000_000);

/** Lets all that needs no time happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** In small steps, as time really passes. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    clock.advance(Math.min(250, left));
    await settle();
  }
}

Deno.test("a silent peer is dead after its heartbeats, named, and costs nothing any more", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({
    clock,
    limits: { window: 256 * 1024, maxStreams: 8, heartbeat: 1000, misses: 3 },
  });
  await running.peer();
  await pass(clock, 3950);
  assertEquals(running.server.sessionCount, 1);
  await pass(clock, 100);
  await running.quiet();
  assertEquals(running.logged("session ended"), ["PEER_TIMEOUT"]);
  assertEquals(clock.pending, 0);
});

Deno.test("a peer that answers, or just says anything, lives on", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({
    clock,
    limits: { window: 256 * 1024, maxStreams: 8, heartbeat: 1000, misses: 1 },
  });
  const peer = await running.peer();
  for (let i = 0; i < 6; i++) {
    await pass(clock, 1500);
    await peer.send("PONG", 0, { nonce: 999_999 });
    await settle();
  }
  assertEquals(running.server.sessionCount, 1);
});

Deno.test("a session that nobody uses is told why and closed", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock, idleTimeout: 10_000 });
  const client = await running.client();
  await pass(clock, 9000);
  assertEquals((await client.stat("/")).type, "directory");
  await pass(clock, 9000);
  assertEquals(client.session.phase, "ready");
  await pass(clock, 4000);
  await client.ended;
  await running.quiet();
  assertEquals(running.logged("session ended"), ["IDLE_TIMEOUT"]);
  await assertFails(() => client.stat("/"), "GOING_AWAY");
});

Deno.test("a put in which no byte moves is STALLED, stores nothing, and the session goes on", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock, stallTimeout: 10_000 });
  const client = await running.client();
  const source = pausedSource(SOME);
  const putting = client.put("/a", source, { size: null });
  const failing = assertFails(() => putting, "STALLED");
  await settle();
  await pass(clock, 14_000);
  source.go();
  await failing;
  assertEquals(await namesIn(running.storage), []);
  assertEquals((await client.stat("/")).type, "directory");
});

Deno.test("a get whose reader takes nothing is STALLED on the server", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock, stallTimeout: 10_000 });
  await store(running.storage, "/a", SOME);
  const client = await running.client({ limits: { heartbeat: 0, window: 256 * 1024 } });
  const gate = Promise.withResolvers<void>();
  const failing = assertFails(() => client.get("/a", { open: () => () => gate.promise }), "STALLED");
  await settle();
  await pass(clock, 14_000);
  gate.resolve();
  assert((await failing).remote);
});

Deno.test("a peer that does not finish the handshake is told HANDSHAKE_TIMEOUT", async () => {
  await using running = await RunningServer.start({ handshakeTimeout: 20 });
  const mute = await running.connection();
  const peer = await running.peer({ shaken: false });
  await peer.sendBytes(PREFACE);
  assertEquals((await peer.error()).error, "HANDSHAKE_TIMEOUT");
  peer.close();
  const buffer = new Uint8Array(100);
  while (await mute.read(buffer) !== null);
  mute.close();
  const closed = performance.now();
  await running.quiet();
  assert(performance.now() - closed < 1000, "a session that nobody is left to hear goes at once");
  assertEquals(running.logged("session ended"), ["HANDSHAKE_TIMEOUT", "HANDSHAKE_TIMEOUT"]);
});

Deno.test("a client gives a mute server up", async () => {
  await using running = await RunningServer.start();
  const listener = await running.transport.listen({ hostname: "memory", port: 7 });
  const accepting = listener.accept();
  const failure = await assertFails(
    () =>
      Client.connect({ hostname: "memory", port: 7 }, { transport: running.transport, timeouts: { handshake: 20 } }),
    "HANDSHAKE_TIMEOUT",
  );
  assertStringIncludes(failure.message, "memory:7");
  (await accepting).abort();
  listener.close();
});
