import { assert, assertEquals, assertMatch } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import { FshError } from "../../lib/base/errors.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Client } from "../../lib/client/client.ts";
import { MemoryBudget, SESSION_SHARE } from "../../lib/base/memory_budget.ts";
import { SHARED_REQUESTS } from "../../lib/base/memory_shares.ts";
import { type Bounds, type LimitName, LIMITS } from "../../lib/server/limits.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { assertFails } from "../support/named_errors.ts";
import { type RunningOptions, RunningServer } from "../support/running_server.ts";
import { pausedSource, sourceOf } from "../support/sources.ts";
import { bytesOf, namesIn, pattern, store } from "../support/stored_files.ts";

const start = (bounds: Partial<Bounds>, rest: RunningOptions = {}) => RunningServer.start({ ...rest, bounds });

/** A request failed at a limit: told by name, logged with who and how, counted. */
function assertHit(
  running: RunningServer,
  limit: LimitName,
  { error, times = 1 }: { error: FshError; times?: number },
) {
  assertEquals([error.error, error.remote], [LIMITS[limit].error, true]);
  assertEquals(running.server.metrics.hits(limit), times);
  const line = running.records.find(({ message, fields }) => message === "failed" && fields.error === error.error);
  assertMatch(String(line?.fields.remote), /^memory:/);
  assertEquals([line?.fields.secure, line?.fields.method, line?.fields.session], [true, "anonymous", "1"]);
}

const put = (client: Client, path: string, bytes: Uint8Array, rest: { size?: number | null; key?: string } = {}) =>
  client.put(path, sourceOf(bytes), { size: bytes.length, ...rest });

Deno.test("max-streams: one request too many is refused, the others go on", async () => {
  const limits = { window: 256 * 1024, maxStreams: 1, heartbeat: 0, misses: 3 };
  await using running = await start({}, { limits });
  // The client itself would wait.
  const peer = await running.peer();
  const put = {
    path: "/first",
    size: null,
    modified: null,
    mode: null,
    algorithm: "crc32",
    options: 0,
    key: "",
  } as const;
  await peer.send("PUT", 1, put);
  await peer.send("STAT", 3, { path: "/" }, true);
  const { error, stream } = await peer.error();
  assertEquals([error, stream], ["TOO_MANY_STREAMS", 3]);
  assertHit(running, "streams", { error: new FshError("TOO_MANY_STREAMS", { remote: true }) });
  // The first one waits for its content as before.
  await peer.send("CANCEL", 1, { code: 4 });
});

Deno.test("max-memory: a request for which there is no memory is refused, the others go on", async () => {
  await using running = await start({}, { budget: new MemoryBudget({ bytes: 4 * SESSION_SHARE }) });
  const peer = await running.peer();
  const put = { size: null, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" } as const;
  for (let i = 0; i <= SHARED_REQUESTS; i++) await peer.send("PUT", 2 * i + 1, { ...put, path: `/${i}` });
  const { error, stream } = await peer.error();
  assertEquals([error, stream], ["NO_MEMORY", 2 * SHARED_REQUESTS + 1]);
  assertHit(running, "memory", { error: new FshError("NO_MEMORY", { remote: true }) });
  assertEquals(running.logged("failed"), ["NO_MEMORY"]);
  for (let i = 0; i < SHARED_REQUESTS; i++) await peer.send("CANCEL", 2 * i + 1, { code: 4 });
});

Deno.test("max-open-files: who has to wait too long is refused, a file that is closed lets the next one in", async () => {
  await using running = await start({ files: 1 });
  await store(running.storage, "/file", "content");
  const client = await running.client();
  const source = pausedSource(bytesOf("first"));
  const first = client.put("/first", source, { size: null });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const error = await assertFails(() => client.hash("/file"), "TOO_MANY_FILES");
  assert(error.retryable);
  assertHit(running, "files", { error });
  const waiting = client.hash("/file");
  source.go();
  await first;
  assertEquals((await waiting).size, 7);
  assertEquals(running.server.metrics.all().find(({ name }) => name === "fsh_open_files")?.values[0]?.value, 0);
});

Deno.test("max-request: a batch of more files is refused as a whole, in either direction", async () => {
  await using running = await start({ request: 2 });
  const client = await running.client();
  const options = { algorithm: "crc32", limit: 100, take: () => Promise.resolve() } as const;
  assertHit(running, "request", {
    error: await assertFails(() => client.getSmall(["/a", "/b", "/c"], options), "REQUEST_TOO_LARGE"),
  });
  const files = ["/a", "/b", "/c"].map((path) => ({ path, content: bytesOf("x"), modified: null, mode: null }));
  await assertFails(() => client.putSmall(files, options), "REQUEST_TOO_LARGE");
  assertEquals(running.server.metrics.hits("request"), 2);
  assertEquals(await client.putSmall(files.slice(1), options), [null, null]);
  await client.getSmall(["/b", "/c"], options);
  assertEquals(await namesIn(running.storage), ["b", "c"]);
});

Deno.test("max-listing: a listing that is longer ends by name, one that just fits is whole", async () => {
  await using running = await start({ listing: 3 });
  const client = await running.client();
  await client.mkdir("/d");
  for (const name of ["a", "b", "d/c"]) await store(running.storage, `/${name}`, "");
  const count = async (recursive: boolean) => {
    let seen = 0;
    for await (const entries of client.list("/", { recursive })) seen += entries.length;
    return seen;
  };
  assertEquals(await count(false), 3);
  const error = await assertFails(() => count(true), "LISTING_TOO_LARGE");
  assertHit(running, "listing", { error });
  assertMatch(error.message, /^\/: .*at most 3 entries; list its folders one by one/);
});

for (
  const [how, rest] of [["announced", {}], ["not announced", { size: null }], ["to be resumed", { key: "k" }]] as const
) {
  Deno.test(`max-put: a larger file, its size ${how}, is refused and nothing of it is left`, async () => {
    await using running = await start({ put: 1_000_000 });
    const client = await running.client();
    const error = await assertFails(() => put(client, "/large", pattern(1_000_001), rest), "PUT_TOO_LARGE");
    assertHit(running, "put", { error });
    assertMatch(error.message, /^\/large: .*at most 1000000 bytes/);
    assertEquals(await namesIn(running.storage), []);
    await put(client, "/fits", pattern(1_000_000), rest);
    assertEquals(await namesIn(running.storage), ["fits"]);
  });
}

Deno.test("max-put: small files that come together are looked at one by one", async () => {
  await using running = await start({ put: 3 });
  const client = await running.client();
  const files = ["abc", "abcd"].map((text) => ({
    path: `/${text}`,
    content: bytesOf(text),
    modified: null,
    mode: null,
  }));
  const results = await client.putSmall(files, { algorithm: "crc32" });
  assertEquals(results.map((error) => error?.error ?? null), [null, "PUT_TOO_LARGE"]);
  assertEquals(await namesIn(running.storage), ["abc"]);
  assertEquals(running.server.metrics.hits("put"), 1);
});

/** Says how much room there is. */
class Disk extends MemoryStorage {
  room = 0;
  looks = 0;
  override strict() {
    return this;
  }
  readonly free = () => {
    this.looks++;
    return Promise.resolve(this.room);
  };
}

Deno.test("keep-free: what would not leave enough is refused before it comes, what fits goes on to be watched", async () => {
  const storage = new Disk();
  await using running = await start({ keepFree: 1000 }, { storage });
  const client = await running.client();
  storage.room = 1099;
  const error = await assertFails(() => put(client, "/large", pattern(100)), "DISK_RESERVED");
  assertHit(running, "keepFree", { error });
  assertMatch(error.message, /^\/large: .*99 bytes are left for files, 100 to come/);
  const small = [{ path: "/small", content: pattern(100), modified: null, mode: null }];
  assertEquals((await client.putSmall(small, { algorithm: "crc32" })).map((one) => one?.error), ["DISK_RESERVED"]);
  storage.room = 1100;
  await put(client, "/fits", pattern(100));
  assertEquals(await client.putSmall(small, { algorithm: "crc32" }), [null]);
  // Without a size it may begin as long as there is any room at all.
  storage.room = 999;
  await assertFails(() => put(client, "/unknown", pattern(1), { size: null }), "DISK_RESERVED");
  assertEquals(await namesIn(storage), ["fits", "small"]);
  assertEquals(running.server.metrics.hits("keepFree"), 3);
});

Deno.test("keep-free: a put is ended, and nothing of it is left, when the room goes meanwhile", async () => {
  const storage = new Disk();
  storage.room = 1_000_000;
  await using running = await start({ keepFree: 1000 }, { storage });
  const client = await running.client();
  for (const rest of [{ size: null }, { key: "k" }]) {
    const source = sourceOf(pattern(900_000), 50_000);
    const { looks } = storage;
    storage.room = 1_000_000;
    const shrinking = {
      read(buffer: Uint8Array) {
        if (storage.looks > looks) storage.room = 999;
        return source.read(buffer);
      },
    };
    await assertFails(() => client.put("/file", shrinking, { size: 900_000, ...rest }), "DISK_RESERVED");
    assert(storage.looks - looks < 10, `${storage.looks - looks} looks`);
    const part = { owner: JSON.stringify(["", "k"]), continue: true };
    const writer = await storage.openWrite(safePath("/file"), { part });
    assertEquals(writer.offset, 0, "a part was kept");
    await writer.abort();
  }
  assertEquals(await namesIn(storage), []);
});

Deno.test("without keep-free nobody looks how much room there is", async () => {
  const storage = new Disk();
  await using running = await start({}, { storage });
  await put(await running.client(), "/file", pattern(1000));
  assertEquals(storage.looks, 0);
});

/** In steps, as time really passes. */
async function pass(clock: ManualClock, seconds: number, each: (second: number) => Promise<void>): Promise<void> {
  for (let second = 1; second <= seconds; second++) {
    await each(second);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    clock.advance(1000);
  }
}

Deno.test("min-rate: a put of a byte a second ends by name after a minute, its file is not there; a silent one stays", async () => {
  const clock = new ManualClock();
  await using running = await start({ minRate: 10 }, { clock });
  const peer = await running.peer();
  const request = { size: null, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" };
  await peer.send("PUT", 1, { ...request, path: "/slow" });
  await pass(clock, 59, () => peer.sendData(1, bytesOf("x")));
  assertEquals(running.logged("failed"), []);
  await pass(clock, 8, () => peer.sendData(1, bytesOf("x")));
  assertEquals(await peer.error(), { error: "TOO_SLOW", stream: 1, subject: "" });
  assertEquals([running.logged("failed"), running.server.metrics.hits("minRate")], [["TOO_SLOW"], 1]);
  // It says now and then that more will come, as for a source that is silent.
  const other = await running.peer();
  await other.send("PUT", 1, { ...request, path: "/silent" });
  await pass(clock, 200, (second) => second % 5 === 0 ? other.sendData(1, new Uint8Array()) : Promise.resolve());
  assertEquals(running.logged("failed"), ["TOO_SLOW"]);
  assertEquals(await namesIn(running.storage), []);
});

Deno.test("min-rate: a get whose reader takes a byte a second ends by name, one that pauses does not", async () => {
  const clock = new ManualClock();
  await using running = await start({ minRate: 10 }, { clock, memory: { capacity: 100_000 } });
  await store(running.storage, "/file", pattern(4_000_000));
  const request = { path: "/file", offset: 0, length: null, algorithm: "crc32", prefix: new Uint8Array() };
  const get = async () => {
    const peer = await running.peer();
    await peer.send("GET", 1, { ...request, options: 0, priority: 1 }, true);
    return peer;
  };
  await get();
  const slow = await get();
  const one = new Uint8Array(1);
  await pass(clock, 64, async () => void await slow.connection.read(one));
  assertEquals(running.server.sessionCount, 2);
  await pass(clock, 6, async () => void await slow.connection.read(one).catch(() => null));
  assertEquals([running.logged("failed"), running.server.metrics.hits("minRate")], [["TOO_SLOW"], 1]);
  assertEquals([running.logged("session ended"), running.server.sessionCount], [["TOO_SLOW"], 1]);
});
