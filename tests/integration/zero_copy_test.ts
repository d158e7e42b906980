import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { Client, DEFAULT_LIMITS } from "../../lib/client/client.ts";
import { native } from "../../lib/native/load.ts";
import { Server } from "../../lib/server/server.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import type { FileRegion } from "../../lib/base/file_region.ts";
import type { Connection } from "../../lib/transport/transport.ts";
import { Collector } from "../support/sources.ts";
import { assertFails } from "../support/named_errors.ts";
import { pattern } from "../support/stored_files.ts";

const MIB = 1024 * 1024;
const CONTENT = pattern(5 * MIB + 12_345);
const ignore = native().sockets === null || native().descriptors === null;

/** TCP, with a count of the bytes that came straight from files. */
class CountingTransport extends TcpTransport {
  direct = 0;
  /** Called before each piece. */
  before: (region: FileRegion) => Promise<void> = () => Promise.resolve();

  override async listen(options: Parameters<TcpTransport["listen"]>[0]) {
    const listener = await super.listen(options);
    const accept = listener.accept.bind(listener);
    listener.accept = async () => this.#counting(await accept());
    return listener;
  }

  #counting(connection: Connection): Connection {
    const { writeFile } = connection;
    if (writeFile) {
      Object.defineProperty(connection, "writeFile", {
        value: async (region: FileRegion, at: number) => {
          await this.before(region);
          const written = await writeFile(region, at);
          this.direct += written;
          return written;
        },
      });
    }
    return connection;
  }
}

interface Place {
  readonly file: string;
  readonly transport: CountingTransport;
  get(options?: { algorithm?: "crc32" | "sha256" | "none"; offset?: number; length?: number }): Promise<Uint8Array>;
}

function test(behaviour: string, run: (place: Place) => Promise<void>, options: { zeroCopy?: boolean } = {}): void {
  Deno.test({
    name: `zero copy: ${behaviour}`,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "fsh-test-" });
      const file = `${folder}/a`;
      await Deno.writeFile(file, CONTENT);
      await settle();
      const storage = await LocalStorage.open(folder);
      const transport = new CountingTransport();
      const server = await Server.start({
        transport,
        storage,
        hostname: "127.0.0.1",
        port: 0,
        log: silentLog,
        limits: DEFAULT_LIMITS,
        readOnly: true,
        maxSessions: 10,
        handshakeTimeout: 5000,
        idleTimeout: 0,
        stallTimeout: 0,
        ...options,
      });
      try {
        await run({
          file,
          transport,
          async get(options = {}) {
            await using client = await Client.connect({ hostname: "127.0.0.1", port: server.port });
            const got = new Collector();
            await client.get("/a", { ...options, open: () => got.sink });
            return got.bytes;
          },
        });
      } finally {
        await server.close({ limit: 1000 });
        storage.close();
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Waits until a file counts as at rest. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3100));
}

test("a file that was sent before goes without being read, and its checksums with it", async ({ get, transport }) => {
  assertEquals(await get(), CONTENT);
  assertEquals(transport.direct, 0);
  assertEquals(await get(), CONTENT);
  assertEquals(transport.direct, CONTENT.length);
});

test("parts of a file, whole blocks of them without being read", async ({ get, transport }) => {
  await get();
  for (
    const [offset, length] of [[0, 2 * MIB], [MIB, 3 * MIB], [MIB + 1, 2 * MIB], [5 * MIB, 12_345], [7, 20]] as const
  ) {
    assertEquals(await get({ offset, length }), CONTENT.slice(offset, offset + length));
  }
  // Of the third the block in the middle; what is as small as the last one is not worth it.
  assertEquals(transport.direct, 2 * MIB + 3 * MIB + MIB);
});

test("without a checksum the first time already", async ({ get, transport }) => {
  assertEquals(await get({ algorithm: "none" }), CONTENT);
  assertEquals(transport.direct, CONTENT.length);
});

test("with sha256 never, as that needs every byte", async ({ get, transport }) => {
  for (let i = 0; i < 2; i++) assertEquals(await get({ algorithm: "sha256" }), CONTENT);
  assertEquals(transport.direct, 0);
});

test("switched off, never", async ({ get, transport }) => {
  for (const algorithm of ["crc32", "crc32", "none"] as const) assertEquals(await get({ algorithm }), CONTENT);
  assertEquals(transport.direct, 0);
}, { zeroCopy: false });

test("a file that changed is read again, even with its old size and time", async ({ get, file, transport }) => {
  await get();
  const { mtime } = await Deno.stat(file);
  const changed = CONTENT.slice();
  changed[3 * MIB + 5] = (changed[3 * MIB + 5] ?? 0) ^ 1;
  await Deno.writeFile(file, changed);
  await Deno.utime(file, mtime ?? 0, mtime ?? 0);
  assertEquals(await get(), changed);
  // And a second time: it was changed just now, so nothing was learned.
  assertEquals(await get(), changed);
  assertEquals(transport.direct, 0);
});

test("a file that changes while it is sent is an integrity error, and all is well afterwards", async (place) => {
  const { get, file, transport } = place;
  await get();
  let once = true;
  transport.before = async ({ offset }) => {
    if (offset !== 3 * MIB || !once) return;
    once = false;
    using open = await Deno.open(file, { write: true });
    await open.seek(3 * MIB + 100, Deno.SeekMode.Start);
    await open.write(new Uint8Array([1, 2, 3, 4]));
  };
  const error = await assertFails(() => get(), "BAD_CRC");
  assertEquals(error.exit, 6);
  assertEquals(await get(), await Deno.readFile(file));
});

test("a file that becomes shorter while it is sent is an integrity error", async ({ get, file, transport }) => {
  await get();
  let once = true;
  transport.before = async ({ offset }) => {
    if (offset !== 2 * MIB || !once) return;
    once = false;
    await Deno.truncate(file, 2 * MIB + 500);
  };
  try {
    await get();
    throw new Error("it arrived");
  } catch (error) {
    assert(error instanceof FshError, String(error));
    assertEquals(error.exit, 6, error.message);
  }
  assertEquals((await get()).length, 2 * MIB + 500);
});
