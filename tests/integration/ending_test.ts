import { assertEquals } from "@std/assert";
import { ERRORS, FshError } from "../../lib/base/errors.ts";
import { Client } from "../../lib/client/client.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { encodeMessage } from "../../lib/wire/codec.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { assertFails } from "../support/named_errors.ts";
import { HELLO, RawPeer } from "../support/raw_peer.ts";
import { RunningServer } from "../support/running_server.ts";
import { Collector, pausedSource, sourceOf } from "../support/sources.ts";
import { load, namesIn, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(2_000_000);

/** Lets all that needs no time happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a server that goes down lets running transfers finish, refuses new requests, and ends gracefully", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/a", SOME);
  const client = await running.client();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const collector = new Collector();
  const getting = client.get("/a", {
    open: () => async (chunk) => {
      collector.sink(chunk);
      begun.resolve();
      await gate.promise;
    },
  });
  const source = pausedSource(SOME.subarray(0, 1000), SOME.subarray(1000));
  const putting = client.put("/b", source, { size: SOME.length });
  await begun.promise;
  const closing = running.server.close({ limit: 60_000 });
  await settle();
  await assertFails(() => client.stat("/"), "GOING_AWAY");
  await assertFails(() => running.client(), "REFUSED");
  gate.resolve();
  source.go();
  await Promise.all([getting, putting]);
  assertEquals(collector.bytes, SOME);
  assertEquals(await load(running.storage, "/b"), SOME);
  await closing;
  assertEquals((await client.ended).how, "graceful");
  assertEquals(running.records.filter((record) => record.level === "warn"), []);
});

Deno.test("a server that goes down tells the rest GOING_AWAY once the limit is over", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  const source = pausedSource(SOME);
  const putting = client.put("/a", source, { size: null });
  await settle();
  const closing = running.server.close({ limit: 20 });
  const failing = assertFails(() => putting, "GOING_AWAY");
  await closing;
  source.go();
  await failing;
  assertEquals(await namesIn(running.storage), []);
});

Deno.test("a put whose frame is stuck on its way fails by the error that the server ends the session with", async () => {
  const transport = new MemoryTransport();
  const listener = await transport.listen({ hostname: "memory", port: 0 });
  const accepting = listener.accept();
  const connecting = Client.connect({ hostname: "memory", port: listener.port }, { transport });
  const peer = new RawPeer(await accepting);
  await peer.sendBytes(PREFACE);
  await peer.send("HELLO", 0, { ...HELLO, methods: ["anonymous"], window: 64 * 1024 * 1024 });
  await peer.expect("HELLO");
  await peer.expect("AUTH");
  await peer.send("READY", 0, { session: "s", user: "" });
  const client = await connecting;
  const failing = assertFails(() => client.put("/a", sourceOf(pattern(8_000_000)), { size: null }), "BAD_CRC");
  await peer.expect("PUT");
  // From now on it reads no more.
  await settle();
  await peer.send("ERROR", 0, { code: ERRORS.BAD_CRC.code, subject: "DATA", detail: "" });
  await failing;
  peer.close();
  listener.close();
});

Deno.test("a client that says goodbye is logged as graceful", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  assertEquals((await client.close()).how, "graceful");
  await running.quiet();
  assertEquals(running.records.find((record) => record.message === "session ended")?.fields.how, "graceful");
});

Deno.test("a breach by a peer that has said goodbye is a breach all the same", async () => {
  await using running = await RunningServer.start();
  const peer = await running.peer();
  const put = { path: "/a", size: null, modified: null, mode: null, algorithm: "none", options: 0, key: "" };
  await peer.send("PUT", 1, put);
  await peer.send("GOAWAY", 0, { code: 0, message: "" });
  await peer.send("WINDOW", 99, { credit: 1 });
  assertEquals((await peer.error()).error, "BAD_STREAM");
  peer.close();
  await running.quiet();
  assertEquals(running.records.find((record) => record.message === "session ended")?.fields.how, "breach");
});

Deno.test("a connection reset and one closed without a word are abrupt, and told apart", async () => {
  await using running = await RunningServer.start();
  for (const end of ["abort", "close"] as const) {
    const peer = await running.peer();
    peer.connection[end]();
    await running.quiet();
  }
  assertEquals(running.logged("session ended"), ["CONNECTION_RESET", "CONNECTION_LOST"]);
  for (const record of running.records.filter((record) => record.message === "session ended")) {
    assertEquals(record.fields.how, "abrupt");
  }
});

Deno.test("a client whose server vanishes hears of it in every request under way", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/a", SOME);
  const client = await running.client({ limits: { heartbeat: 0, window: 256 * 1024 } });
  const gate = Promise.withResolvers<void>();
  const getting = client.get("/a", { open: () => () => gate.promise });
  const source = pausedSource(new Uint8Array(1));
  const putting = client.put("/b", source, { size: 1 });
  const failing = [getting, putting].map((work) => assertFails(() => work, "CONNECTION_RESET"));
  await settle();
  client.session.abort(new FshError("CONNECTION_RESET"));
  gate.resolve();
  source.go();
  await Promise.all(failing);
  await running.quiet();
  assertEquals(await namesIn(running.storage), ["a"]);
});

Deno.test("a flood of PINGs whose answers nobody reads ends the session, memory bounded", async () => {
  await using running = await RunningServer.start({ memory: { capacity: 8192 } });
  const peer = await running.peer();
  const ping = new Uint8Array(24 * 1000);
  for (let i = 0; i < 1000; i++) ping.set(encodeMessage("PING", 0, { nonce: i }), i * 24);
  for (let i = 0; i < 20 && running.server.sessionCount > 0; i++) {
    await writeAll(peer.connection, ping).catch(() => {});
    await settle();
  }
  peer.close();
  await running.quiet();
  assertEquals(running.logged("session ended"), ["FLOOD"]);
});

Deno.test("PINGs that are read are all answered, in order", async () => {
  await using running = await RunningServer.start();
  const peer = await running.peer();
  for (let nonce = 0; nonce < 500; nonce++) {
    await peer.send("PING", 0, { nonce });
    assertEquals((await peer.expect("PONG")).fields.nonce, nonce);
  }
});
