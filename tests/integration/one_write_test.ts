import { assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { silentLog } from "../../lib/base/log.ts";
import type { SafePath } from "../../lib/base/virtual_path.ts";
import { Client } from "../../lib/client/client.ts";
import { native } from "../../lib/native/load.ts";
import { Server } from "../../lib/server/server.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { ReadOptions } from "../../lib/storage/storage.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import type { Connection } from "../../lib/transport/transport.ts";
import { scratch } from "../support/program.ts";
import { IN_MEMORY, RunningServer } from "../support/running_server.ts";
import { store } from "../support/stored_files.ts";

/** Tells of each write of whoever listens. */
class WatchedTransport extends MemoryTransport {
  writes: number[] = [];

  override async listen(options: { hostname: string; port: number }) {
    const listener = await super.listen(options);
    const accept = async (): Promise<Connection> => {
      const inner = await listener.accept();
      return {
        local: inner.local,
        remote: inner.remote,
        secure: inner.secure,
        read: (buffer) => inner.read(buffer),
        write: (bytes) => {
          this.writes.push(bytes.length);
          return inner.write(bytes);
        },
        closeWrite: () => inner.closeWrite(),
        close: () => inner.close(),
        abort: () => inner.abort(),
      };
    };
    return { hostname: listener.hostname, port: listener.port, accept, close: () => listener.close() };
  }
}

Deno.test({
  name: "a small file, what is known of it and its end are one write; sixteen that are asked for at once are few",
  // Elsewhere reading takes turns of the event loop.
  ignore: native().descriptors === null,
  async fn() {
    await using folder = await scratch();
    for (let i = 0; i < 16; i++) await Deno.writeTextFile(`${folder.path}/${i}`, "x".repeat(1000 + i));
    const transport = new WatchedTransport();
    const storage = await LocalStorage.open(folder.path);
    const server = await Server.start({
      transport,
      storage,
      ...IN_MEMORY,
      log: silentLog,
    });
    const client = await Client.connect({ hostname: "memory", port: server.port }, {
      limits: { heartbeat: 0 },
      transport,
    });
    const got: string[] = [];
    const get = async (path: string) => {
      const { size } = await client.get(path, { open: () => (chunk) => void got.push(`${path} ${chunk.length}`) });
      got.push(`${path} of ${size}`);
    };
    await get("/0");
    transport.writes = [];
    await get("/1");
    assertEquals(transport.writes.length, 1, `writes of ${transport.writes}`);
    transport.writes = [];
    await Promise.all(Array.from({ length: 16 }, (_, i) => get(`/${i}`)));
    assertLessOrEqual(transport.writes.length, 3, `writes of ${transport.writes}`);
    assertEquals(got.length, 2 * 18);
    await client[Symbol.asyncDispose]();
    await server.close({ limit: 1000 });
    storage.close();
  },
});

Deno.test("a file of which something can't be told fails by itself, before any of it is sent", async () => {
  class OddStorage extends MemoryStorage {
    override async openRead(path: SafePath, options: ReadOptions = {}) {
      const reader = await super.openRead(path, options);
      return { ...reader, info: { ...reader.info, modified: path === "/odd" ? NaN : reader.info.modified } };
    }
  }
  await using running = await RunningServer.start({ storage: new OddStorage() });
  await store(running.storage, "/odd", "x");
  await store(running.storage, "/even", "x");
  const client = await running.client();
  let opened = false;
  await assertRejects(() => client.get("/odd", { open: () => ((opened = true), () => {}) }));
  assertEquals(opened, false);
  assertEquals((await client.get("/even", { open: () => () => {} })).size, 1);
});
