import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import { FshError } from "../../lib/base/errors.ts";
import { hash } from "../../lib/commands/hash.ts";
import { UNBOUNDED } from "../../lib/server/limits.ts";
import { ServerLoad } from "../../lib/session/load.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { FileReader } from "../../lib/storage/storage.ts";
import { encodeMessage } from "../../lib/wire/codec.ts";
import { loneSession } from "../support/lone_session.ts";
import { RecordingStorage } from "../support/recording_storage.ts";
import { RunningServer } from "../support/running_server.ts";
import { pausedSource } from "../support/sources.ts";
import { bytesOf, store } from "../support/stored_files.ts";

/** Lets all that needs no time happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Files that give bytes without a pause for two seconds, as the page cache would; then they end. */
class EndlessStorage extends RecordingStorage {
  reads = 0;
  readonly #end = performance.now() + 2000;

  override async openRead(...args: Parameters<RecordingStorage["openRead"]>): Promise<FileReader> {
    const reader = await super.openRead(...args);
    return {
      info: { ...reader.info, size: 1e12 },
      read: (buffer) => {
        this.reads++;
        return Promise.resolve(performance.now() < this.#end ? buffer.length : null);
      },
      seek: (offset) => reader.seek(offset),
      close: () => reader.close(),
    };
  }
}

function times(count: number, frame: Uint8Array): Uint8Array {
  const all = new Uint8Array(count * frame.length);
  for (let i = 0; i < count; i++) all.set(frame, i * frame.length);
  return all;
}

Deno.test("while huge files are hashed others are answered, and the work ends with its session", async () => {
  const memory = new MemoryStorage();
  await store(memory, "/huge", "x");
  const storage = new EndlessStorage(memory);
  await using running = await RunningServer.start({ storage });
  const [greedy, other] = [await running.client(), await running.client()];
  let ended = false;
  const hashing = hash(greedy.session, "/huge").catch(() => {}).finally(() => ended = true);
  await settle();
  for (let i = 0; i < 5; i++) assertEquals((await other.stat("/huge")).type, "file");
  assert(!ended, "it was answered only after the digest");
  greedy.session.abort(new FshError("INTERRUPTED"));
  await hashing;
  await settle();
  const { reads } = storage;
  await settle();
  assertEquals(storage.reads, reads);
});

Deno.test("PINGs and CANCELs that nobody could need end the session with FLOOD", async () => {
  for (const name of ["PING", "CANCEL"] as const) {
    await using running = await RunningServer.start();
    const peer = await running.peer();
    await peer.send("STAT", 1, { path: "/" }, true);
    const frame = name === "PING" ? encodeMessage(name, 0, { nonce: 1 }) : encodeMessage(name, 1, { code: 4 });
    const sending = peer.sendBytes(times(4000, frame)).catch(() => {});
    const { error, subject } = await peer.error();
    assertEquals([error, subject], ["FLOOD", name]);
    peer.close();
    await sending;
    await running.quiet();
  }
});

Deno.test("whoever goes on asking for files that can't be had is held back before long", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock, bounds: { ...UNBOUNDED, files: 1 } });
  await store(running.storage, "/file", "content");
  const [client, peer] = [await running.client(), await running.peer()];
  const source = pausedSource(bytesOf("x"));
  const holding = client.put("/held", source, { size: null });
  holding.catch(() => {});
  await settle();
  const get = { path: "/file", offset: 0, length: null, algorithm: "none", options: 0, priority: 1 };
  const asked = 400;
  for (let i = 0; i < asked; i++) {
    peer.send("GET", 2 * i + 1, { ...get, prefix: new Uint8Array() }, true).catch(() => {});
  }
  for (let i = 0; i < 20; i++) await settle();
  const refused = running.logged("failed").length;
  assert(refused > 0 && refused < 80, `${refused} of ${asked} were looked at`);
  // Others are answered meanwhile.
  assertEquals((await client.stat("/file")).type, "file");
  source.go();
  await holding;
});

Deno.test("a session that is held back among hundreds is not taken for dead", async () => {
  const clock = new ManualClock();
  const load = new ServerLoad(clock);
  const { session, peer } = loneSession({
    clock,
    load: load.join(),
    limits: { window: 256 * 1024, maxStreams: 8, heartbeat: 1000, misses: 1 },
    serve: async () => {},
  });
  const started = session.start();
  await peer.shakeHands();
  await started;
  const crowd = Array.from({ length: 600 }, () => load.join());
  await peer.sendBytes(times(600, encodeMessage("PONG", 0, { nonce: 7 })));
  for (let slot = 0; slot < 50; slot++) {
    for (const one of crowd) for (let i = 0; i < 20; i++) one.read(1, 0);
    clock.advance(100);
    await settle();
  }
  assertEquals(session.phase, "ready");
  // It was held back, or this proves nothing: the answer to a PING waits behind what came before.
  peer.send("PING", 0, { nonce: 8 });
  load.close();
  for (let i = 0; i < 20; i++) clock.advance(100), await settle();
  await peer.expect("PONG");
  peer.close();
  for (let i = 0; i < 40; i++) clock.advance(100), await settle();
  await session.ended;
  load.close();
});

Deno.test("who asks for much in one go lets others have a turn; a read that was waited for was one", () => {
  const load = new ServerLoad(new ManualClock());
  const asked = { name: "GET", fin: false, stream: 1, crc: 0, payload: new Uint8Array() } as const;
  const requestsUntilPause = (waited: number) => {
    const session = load.join();
    for (let count = 1; count < 500; count++) {
      session.received(asked, 1);
      if (session.mustPause) return count;
      session.read(1000, waited);
    }
    return Infinity;
  };
  assertEquals(requestsUntilPause(0), 100);
  assertEquals(requestsUntilPause(1), Infinity);
  load.close();
});

Deno.test("a few who get many small files are not held back, but many are, and while a large transfer moves", () => {
  const clock = new ManualClock();
  const load = new ServerLoad(clock);
  let sessions = [load.join(), load.join(), load.join()];
  const asked = { name: "GET", fin: false, stream: 1, crc: 0, payload: new Uint8Array() } as const;
  const getsUntilPause = (ahead: () => void) => {
    clock.advance(1000);
    for (let count = 0; count < 1000; count++) {
      ahead();
      for (const session of sessions) {
        session.read(1000, 1);
        session.received(asked, 1);
        if (session.mustPause) return count;
        session.moved(1024, 0);
      }
    }
    return Infinity;
  };
  const other = load.join();
  assertEquals(getsUntilPause(() => {}), Infinity);
  assertEquals(getsUntilPause(() => other.moved(16 * 1024, 100 * 1024)), Infinity);
  assertLessOrEqual(getsUntilPause(() => other.moved(16 * 1024, 1024 * 1024)), 100);
  sessions = Array.from({ length: 100 }, () => load.join());
  assertLessOrEqual(getsUntilPause(() => {}), 20);
  load.close();
});

Deno.test("while transfers move, connections come in at a pace; otherwise as they are", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock, maxSessions: 1000 });
  await store(running.storage, "/file", "x".repeat(200_000));
  const client = await running.client();
  await client.get("/file", { open: () => () => {} });
  const storm = await Promise.all(Array.from({ length: 200 }, () => running.connection()));
  await settle();
  const first = running.server.sessionCount;
  // Nothing has moved for a while.
  clock.advance(1000);
  await settle();
  const then = running.server.sessionCount;
  for (const connection of storm) connection.close();
  assertLessOrEqual(first, 60);
  assertEquals(then, 201);
});

Deno.test("a session that has ended does not wait for its turn to throw things away", async () => {
  const clock = new ManualClock();
  const load = new ServerLoad(clock);
  const { session, peer } = loneSession({ clock, load: load.join() });
  session.start().catch(() => {});
  await peer.sendBytes(new TextEncoder().encode("GET / HTTP/1.1\r\n"));
  const crowd = Array.from({ length: 600 }, () => load.join());
  let sending = true;
  const flood = (async () => {
    while (sending) await peer.sendBytes(new Uint8Array(100));
  })().catch(() => {});
  for (let slot = 0; slot < 30; slot++) {
    for (const one of crowd) for (let i = 0; i < 20; i++) one.read(1, 0);
    clock.advance(100);
    await settle();
  }
  await session.ended;
  sending = false;
  await flood;
  // Whatever it still waited for has come: from here on it asks for no more turns.
  for (let slot = 0; slot < 3; slot++) {
    for (const one of crowd) for (let i = 0; i < 20; i++) one.read(1, 0);
    clock.advance(100);
    await settle();
  }
  assertEquals(clock.pending, 0);
  load.close();
});
