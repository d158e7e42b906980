import { assertEquals } from "@std/assert";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { Stored } from "../../lib/storage/storage.ts";
import { RunningServer } from "../support/running_server.ts";

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
