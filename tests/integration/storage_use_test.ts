import { assertEquals } from "@std/assert";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { Page, Storage, Stored } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { store } from "../support/stored_files.ts";

/** A storage whose stat takes as long as the test likes. */
class SlowStorage extends MemoryStorage {
  readonly gate = Promise.withResolvers<void>();
  readonly asked = Promise.withResolvers<void>();
  busy = false;

  override async stat(path: Parameters<MemoryStorage["stat"]>[0]): Promise<Stored> {
    this.busy = true;
    this.asked.resolve();
    await this.gate.promise;
    this.busy = false;
    return await super.stat(path);
  }
}

Deno.test("a server is closed only once nothing uses its storage any more", async () => {
  const storage = new SlowStorage();
  await using running = await RunningServer.start({ storage });
  const peer = await running.peer();
  await peer.send("STAT", 1, { path: "/" }, true);
  await storage.asked.promise;
  peer.connection.abort();
  await running.quiet();
  assertEquals(storage.busy, true);
  const closing = running.server.close({ limit: 1 }).then(() => storage.busy);
  setTimeout(() => storage.gate.resolve(), 5);
  assertEquals(await closing, false);
});

/** Tells of every other name only, as file systems may while names of the same folder go. */
class SkippingStorage extends MemoryStorage {
  override async *list(path: Parameters<MemoryStorage["list"]>[0]): AsyncIterable<Page> {
    for await (const { entries, skipped } of super.list(path)) {
      yield { entries: entries.filter((_, index) => index % 2 === 0), skipped };
    }
  }

  override strict(): Storage {
    return this;
  }
}

Deno.test("a folder goes whole where names are skipped while others go; where too many are, what is left is said", async () => {
  const storage = new SkippingStorage();
  await using running = await RunningServer.start({ storage });
  const client = await running.client();
  for (const folder of ["/few", "/many"]) await client.mkdir(folder);
  for (let i = 0; i < 7; i++) await store(storage, `/few/${i}`, "x");
  assertEquals(await client.remove("/few", { recursive: true }), 8);
  for (let i = 0; i < 9; i++) await store(storage, `/many/${i}`, "x");
  await assertFails(() => client.remove("/many", { recursive: true }), "NOT_EMPTY");
});
