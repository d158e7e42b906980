import { assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { pausedSource } from "../support/sources.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { loadText, namesIn, pattern, store } from "../support/stored_files.ts";

/** Calls `check` until it passes, for a second at the most. */
async function eventually(check: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(check(), true);
}

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (running: RunningServer, folder: string) => Promise<void>) =>
    Deno.test(`${kind.name}: ${behaviour}`, async () => {
      await using opened = await kind.open();
      await using running = await RunningServer.start({ storage: opened.storage });
      await run(running, opened.folder);
    });
  /** What lies in the folder, part files too. */
  const really = (folder: string) => folder === "" ? [] : [...Deno.readDirSync(folder)].map((entry) => entry.name);

  test("a put that is cancelled leaves the old file and nothing behind", async (running, folder) => {
    await store(running.storage, "/a", "old");
    const client = await running.client();
    const interrupt = new AbortController();
    const source = pausedSource(pattern(500_000));
    let moved = 0;
    const putting = client.put("/a", source, {
      size: 1_000_000,
      signal: interrupt.signal,
      progress: (bytes) => moved += bytes,
    });
    await eventually(() => moved === 500_000);
    interrupt.abort(new FshError("INTERRUPTED"));
    source.go();
    await assertFails(() => putting, "INTERRUPTED");
    assertEquals(await loadText(running.storage, "/a"), "old");
    await eventually(() => really(folder).length <= 1);
    assertEquals((await client.stat("/a")).size, 3);
  });

  test(
    "a connection cut in the middle of a put leaves the old file, and the server frees all",
    async (running, folder) => {
      await store(running.storage, "/a", "old");
      for (const path of ["/a", "/b"]) {
        const peer = await running.peer();
        const options = { size: 1_000_000, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" };
        await peer.send("PUT", 1, { path, ...options });
        await peer.sendData(1, pattern(50_000));
        if (path === "/a") peer.connection.abort();
        else peer.connection.close();
      }
      await running.quiet();
      assertEquals([await loadText(running.storage, "/a"), await namesIn(running.storage)], ["old", ["a"]]);
      await eventually(() => really(folder).length <= 1);
      assertEquals(running.logged("session ended").length, 2);
    },
  );

  test("a get that is cancelled stops the server's reading, and the session goes on", async (running) => {
    await store(running.storage, "/a", pattern(3_000_000));
    const client = await running.client();
    const interrupt = new AbortController();
    const getting = client.get("/a", {
      signal: interrupt.signal,
      open: () => () => interrupt.abort(new FshError("INTERRUPTED")),
    });
    await assertFails(() => getting, "INTERRUPTED");
    assertEquals((await client.stat("/a")).size, 3_000_000);
    await eventually(() => client.session.openStreams === 0);
  });
}

Deno.test("a request cancelled before it went out does not cost the session", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/a", "x");
  const client = await running.client();
  const aborted = AbortSignal.abort(new FshError("INTERRUPTED"));
  for (let i = 0; i < 5; i++) {
    await assertFails(() => client.get("/a", { signal: aborted, open: () => () => {} }), "INTERRUPTED");
  }
  assertEquals((await client.stat("/a")).size, 1);
});

Deno.test("a sink that fails ends its get by its own error, and the session goes on", async () => {
  await using running = await RunningServer.start();
  await store(running.storage, "/a", pattern(3_000_000));
  const client = await running.client();
  const full = () => {
    throw new FshError("NO_SPACE");
  };
  await assertFails(() => client.get("/a", { open: () => full }), "NO_SPACE");
  await assertFails(() => client.get("/a", { open: full }), "NO_SPACE");
  assertEquals((await client.stat("/a")).size, 3_000_000);
});

Deno.test("a source that fails ends its put by its own error, and nothing is stored", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  const broken = { read: () => Promise.reject(new FshError("STORAGE_FAILED")) };
  await assertFails(() => client.put("/a", broken, { size: null }), "STORAGE_FAILED");
  assertEquals(await namesIn(running.storage), []);
  assertEquals((await client.stat("/")).type, "directory");
});

Deno.test("late frames for a stream that is over are of no interest", async () => {
  await using running = await RunningServer.start();
  const peer = await running.peer();
  await peer.send("STAT", 1, { path: "/" }, true);
  await peer.expect("INFO");
  await peer.send("CANCEL", 1, { code: 4 });
  await peer.send("WINDOW", 1, { credit: 100 });
  await peer.sendData(1, pattern(10));
  await peer.send("STAT", 3, { path: "/" }, true);
  assertEquals((await peer.expect("INFO")).stream, 3);
});

Deno.test("a client that cancels with the code of an internal error makes no error of it in the server's log", async () => {
  await using running = await RunningServer.start();
  for (let i = 0; i < 3000; i++) await store(running.storage, `/${"x".repeat(200)}${i}`, "");
  const peer = await running.peer();
  await peer.send("LIST", 1, { path: "/", recursive: 0 }, true);
  await peer.expect("ENTRIES");
  await peer.send("CANCEL", 1, { code: 1 });
  await eventually(() => running.logged("failed").length === 1);
  assertEquals(running.records.filter((record) => record.level === "error"), []);
});
