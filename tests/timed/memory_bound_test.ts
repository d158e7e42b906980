import { assert, assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import { Client } from "../../lib/client/client.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { encodeMessage } from "../../lib/wire/codec.ts";
import { fsh, peakMemory, ServerProcess } from "../support/program.ts";
import { rawFrame } from "../support/raw_frame.ts";
import { HELLO, RawPeer } from "../support/raw_peer.ts";

const MIB = 1024 ** 2;
/** MiB. */
const BOUND = 256;
const LARGE = 24 * MIB;
/** Sessions of each kind that do harm. */
const CROWD = 50;

const NEW_PUT = { size: null, modified: null, mode: null, algorithm: "none", options: 0, key: "" } as const;
const GET = { offset: 0, length: null, algorithm: "none", prefix: new Uint8Array(), options: 0, priority: 1 } as const;

async function bounded(): Promise<ServerProcess> {
  const server = await ServerProcess.start({
    args: ["--max-memory", `${BOUND}M`, "--durability", "none", "--no-zero-copy", "--json"],
  });
  await Deno.writeFile(`${server.folder}/large`, new Uint8Array(LARGE).fill(7));
  for (let i = 0; i < 64; i++) await Deno.writeFile(`${server.folder}/small-${i}`, new Uint8Array(60_000).fill(i));
  return server;
}

/** Sessions that read nothing once they are in. */
async function crowd(port: number, harm: (peer: RawPeer, number: number) => Promise<void>): Promise<Disposable> {
  const transport = new TcpTransport();
  const peers: RawPeer[] = [];
  for (let i = 0; i < CROWD; i++) {
    const peer = new RawPeer(await transport.connect({ hostname: "127.0.0.1", port, timeout: 5_000 }));
    peers.push(peer);
    await peer.shakeHands({ ...HELLO, window: 1024 ** 3, maxStreams: 512 });
  }
  // What has no room in the buffers of the system waits: that must not hold up the test.
  for (const [number, peer] of peers.entries()) harm(peer, number).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return { [Symbol.dispose]: () => peers.forEach((peer) => peer.connection.abort()) };
}

/** The most that a DATA frame can be, but for its last byte. */
async function halfFrame(peer: RawPeer): Promise<void> {
  await peer.send("PUT", 1, { ...NEW_PUT, path: "/half" });
  const payload = new Uint8Array(64 * 1024);
  await writeAll(peer.connection, rawFrame({ type: 0x10, stream: 1, length: MIB, payload }));
  for (let sent = payload.length; sent < MIB - 1; sent += payload.length) {
    await writeAll(peer.connection, payload.subarray(0, Math.min(payload.length, MIB - 1 - sent)));
  }
}

const HARM: Readonly<Record<string, (peer: RawPeer, number: number) => Promise<void>>> = {
  "the larger part of a frame and nothing more": halfFrame,
  "gets that are never read": async (peer) => {
    for (let i = 0; i < 100; i++) await peer.send("GET", 2 * i + 1, { ...GET, path: "/large" }, true);
  },
  "small files that are never read": async (peer) => {
    const paths = Array.from({ length: 64 }, (_, i) => `/small-${i}`);
    for (let i = 0; i < 60; i++) {
      await peer.send("GETS", 2 * i + 1, { algorithm: "crc32", limit: 65536, options: 0, paths }, true);
    }
  },
  "listings, digests and streams without end, and no reading": async (peer) => {
    for (let i = 0; i < 6; i++) {
      const stream = 6 * i + 1;
      await peer.sendBytes(encodeMessage("LIST", stream, { path: "/", recursive: 1 }, true));
      const hash = { path: "/large", offset: 0, length: null, algorithm: "crc32" };
      await peer.sendBytes(encodeMessage("HASH", stream + 2, hash, true));
      await peer.sendBytes(encodeMessage("PUT", stream + 4, { ...NEW_PUT, path: `/put-${i}` }));
    }
  },
};

for (const [what, harm] of Object.entries(HARM)) {
  Deno.test(`memory stays within the bound and others are served: ${what}`, async () => {
    await using server = await bounded();
    await using honest = await Client.connect({ hostname: "127.0.0.1", port: server.port });
    using _crowd = await crowd(server.port, harm);
    // One who was there before, and one who comes now.
    let bytes = 0;
    await honest.get("/large", { open: () => (chunk) => void (bytes += chunk.length) });
    assertEquals(bytes, LARGE);
    const { code, err } = await fsh(["put", "-q", `${server.folder}/large`, `${server.url}again`]);
    assertEquals(code, 0, err);
    assertEquals((await Deno.stat(`${server.folder}/again`)).size, LARGE);
    const peak = peakMemory(server.pid);
    console.log(`${what}: ${peak.toFixed(0)} of ${BOUND} MiB`);
    assertLessOrEqual(peak, BOUND);
    assert(!server.log.includes('"level":"error"'), server.log.slice(-2000));
  });
}

Deno.test("the bound is printed at the start, and one that is too small is refused", async () => {
  await using server = await ServerProcess.start({ args: ["--max-memory", "300M"] });
  assertMatch(await server.logged(/ info memory .*/), /at most 300 MiB: 160 MiB for the program/);
  const { code, err } = await fsh(["serve", server.folder, "--max-memory", "100M"]);
  assertEquals(code, 2);
  assertMatch(err, /--max-memory 100M.*at least 192 MiB/);
});
