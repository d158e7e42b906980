import { assertEquals } from "@std/assert";
import type { ErrorName } from "../../lib/base/errors.ts";
import { encodeMessage } from "../../lib/wire/codec.ts";
import { FRAMES } from "../../lib/wire/frames.ts";
import type { RawPeer } from "../support/raw_peer.ts";
import { joined, rawFrame } from "../support/raw_frame.ts";
import { RunningServer } from "../support/running_server.ts";
import { namesIn, pattern, store } from "../support/stored_files.ts";

const stat = (stream: number, path = "/") => encodeMessage("STAT", stream, { path }, true);
const damaged = stat(1);
damaged[18] = 0xff;

const breaches: readonly { what: string; error: ErrorName; bytes: Uint8Array }[] = [
  { what: "an unknown frame", error: "UNKNOWN_FRAME", bytes: rawFrame({ type: 0x7f }) },
  {
    what: "a length over the maximum",
    error: "BAD_LENGTH",
    bytes: rawFrame({ type: 0x10, stream: 1, length: 2 ** 31 }),
  },
  { what: "a damaged payload", error: "BAD_CRC", bytes: damaged },
  {
    what: "reserved bits",
    error: "BAD_HEADER",
    bytes: rawFrame({ type: 0x08, reserved: 1, payload: new Uint8Array(8) }),
  },
  { what: "a server's frame", error: "WRONG_SENDER", bytes: encodeMessage("DONE", 1, { count: 0, skipped: 0 }) },
  { what: "a second HELLO", error: "WRONG_PHASE", bytes: rawFrame({ type: FRAMES.HELLO.code }) },
  { what: "a request on stream 0", error: "BAD_STREAM", bytes: stat(0) },
  { what: "a request on an even stream", error: "BAD_STREAM", bytes: stat(2) },
  { what: "a stream number used again", error: "BAD_STREAM", bytes: joined(stat(5), stat(5)) },
  { what: "a stream number lower than the last", error: "BAD_STREAM", bytes: joined(stat(5), stat(3)) },
  { what: "DATA on a stream that was never opened", error: "BAD_STREAM", bytes: rawFrame({ type: 0x10, stream: 9 }) },
  {
    what: "WINDOW on a stream that was never opened",
    error: "BAD_STREAM",
    bytes: encodeMessage("WINDOW", 9, { credit: 1 }),
  },
  {
    what: "a request that does not say it is the last",
    error: "BAD_HEADER",
    bytes: encodeMessage("STAT", 1, { path: "/" }),
  },
  {
    what: "text that is not UTF-8",
    error: "BAD_UTF8",
    bytes: rawFrame({ type: 0x21, stream: 1, flags: 1, payload: Uint8Array.of(0, 1, 0xff) }),
  },
  {
    what: "a field cut short",
    error: "SHORT_FRAME",
    bytes: rawFrame({ type: 0x21, stream: 1, flags: 1, payload: Uint8Array.of(0, 5, 65) }),
  },
  {
    what: "bytes after the last field",
    error: "TRAILING_BYTES",
    bytes: rawFrame({ type: 0x21, stream: 1, flags: 1, payload: Uint8Array.of(0, 1, 0x2f, 0) }),
  },
];

for (const { what, error, bytes } of breaches) {
  Deno.test(`${what} is answered by ${error} on stream 0 and ends the session`, async () => {
    await using running = await RunningServer.start();
    const peer = await running.peer();
    await peer.sendBytes(bytes);
    assertEquals(await peer.error().then(({ error, stream }) => [error, stream]), [error, 0]);
    assertEquals(await peer.rest(), []);
    peer.close();
    await running.quiet();
    assertEquals(running.logged("session ended"), [error]);
    assertEquals(running.records.find((record) => record.message === "session ended")?.fields.how, "breach");
  });
}

Deno.test("the answer to a breach also reaches a peer that has more to send than anybody reads", async () => {
  await using running = await RunningServer.start({ memory: { capacity: 4096 } });
  const peer = await running.peer();
  const sending = peer.sendBytes(joined(rawFrame({ type: 0x7f }), pattern(200_000)));
  assertEquals((await peer.error()).error, "UNKNOWN_FRAME");
  await sending;
});

Deno.test("the answer to a breach also reaches a peer that has closed its side", async () => {
  await using running = await RunningServer.start({ memory: { chunk: 1 } });
  const peer = await running.peer();
  await peer.sendBytes(rawFrame({ type: 0x7f }));
  await peer.connection.closeWrite();
  assertEquals((await peer.error()).error, "UNKNOWN_FRAME");
});

/** Opens a put on stream 1 and leaves it to the test. */
async function putting(running: RunningServer, fields: { size?: number; algorithm?: string } = {}): Promise<RawPeer> {
  const peer = await running.peer();
  const { size = 10, algorithm = "crc32" } = fields;
  await peer.send("PUT", 1, { path: "/a", size, modified: null, mode: null, algorithm, options: 0, key: "" });
  return peer;
}

const CRC_OF_10 = Uint8Array.of(0xe3, 0x8a, 0x68, 0x76);
const end = (size: number, digest: Uint8Array, algorithm = "crc32") =>
  encodeMessage("END", 1, { size, algorithm, digest }, true);

const wrongPuts: readonly { what: string; error: ErrorName; data: number; end: Uint8Array }[] = [
  {
    what: "fewer bytes than announced",
    error: "SIZE_MISMATCH",
    data: 9,
    end: end(9, Uint8Array.of(0xe6, 0x09, 0x14, 0xae)),
  },
  { what: "more bytes than announced", error: "SIZE_MISMATCH", data: 11, end: end(11, CRC_OF_10) },
  { what: "an END that counts wrong", error: "SIZE_MISMATCH", data: 10, end: end(11, CRC_OF_10) },
  { what: "a digest that differs", error: "DIGEST_MISMATCH", data: 10, end: end(10, Uint8Array.of(1, 2, 3, 4)) },
  { what: "a digest of no length", error: "DIGEST_MISMATCH", data: 10, end: end(10, new Uint8Array()) },
  { what: "a digest by another algorithm", error: "DIGEST_MISMATCH", data: 10, end: end(10, CRC_OF_10, "sha256") },
];
for (const { what, error, data, end } of wrongPuts) {
  Deno.test(`a put with ${what} is ${error} on its stream, and the session goes on`, async () => {
    await using running = await RunningServer.start();
    await store(running.storage, "/a", "old");
    const peer = await putting(running);
    await peer.sendData(1, new Uint8Array(data));
    await peer.sendBytes(end);
    const answer = await peer.error();
    assertEquals([answer.error, answer.stream, answer.subject], [error, 1, "/a"]);
    assertEquals(await namesIn(running.storage), ["a"]);
    await peer.sendBytes(stat(3, "/a"));
    assertEquals((await peer.expect("INFO")).fields.size, 3);
  });
}

Deno.test("a put that is right is stored and acknowledged with its digest", async () => {
  await using running = await RunningServer.start();
  const peer = await putting(running);
  await peer.sendData(1, new Uint8Array(10));
  await peer.sendBytes(end(10, CRC_OF_10));
  assertEquals((await peer.expect("END")).fields.digest, CRC_OF_10);
  assertEquals(await namesIn(running.storage), ["a"]);
});

Deno.test("a put by an algorithm that nobody knows is UNSUPPORTED and stores nothing", async () => {
  await using running = await RunningServer.start();
  const peer = await putting(running, { algorithm: "md5" });
  const { error, stream } = await peer.error();
  assertEquals([error, stream], ["UNSUPPORTED", 1]);
  assertEquals(await namesIn(running.storage), []);
});

Deno.test("a put that sends beyond the window ends the session", async () => {
  await using running = await RunningServer.start({
    limits: { window: 256 * 1024, maxStreams: 64, heartbeat: 0, misses: 3 },
  });
  const peer = await putting(running, { size: 1_000_000 });
  await peer.sendData(1, pattern(257 * 1024));
  assertEquals(await peer.error().then(({ error, stream }) => [error, stream]), ["WINDOW_EXCEEDED", 0]);
});

Deno.test("a frame that does not belong to a put fails the put", async () => {
  await using running = await RunningServer.start();
  const peer = await putting(running);
  for (let i = 0; i < 3; i++) {
    await peer.send("END", 1, { size: 0, algorithm: "none", digest: new Uint8Array() }, i === 2);
  }
  assertEquals((await peer.error()).stream, 1);
});
