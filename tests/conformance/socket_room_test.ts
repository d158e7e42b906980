import { assertEquals, assertLessOrEqual } from "@std/assert";
import { native } from "../../lib/native/load.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import type { Connection } from "../../lib/transport/transport.ts";

const PEERS = 40;
const REGION = 1024 * 1024;

// Loads the native library before the test: it stays for the life of the process.
const ignore = native().sockets === null || native().descriptors === null;

function threads(): number {
  return [...Deno.readDirSync("/proc/self/task")].length;
}

/** Sends the file again and again until the connection ends. */
async function pour(connection: Connection, descriptor: number): Promise<void> {
  const region = { descriptor, offset: 0, length: REGION, crc: null };
  for (;;) await connection.writeFile?.(region, 0);
}

Deno.test({
  name: "peers that read nothing take no threads, and nobody else waits for them",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    await Deno.writeFile(`${folder}/file`, new Uint8Array(REGION));
    const descriptors = native().descriptors;
    if (!descriptors) return;
    const root = descriptors.holdRoot(folder);
    const held = descriptors.holdBeneath(root, "file");
    const descriptor = descriptors.openFile(held);
    const transport = new TcpTransport();
    const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    const ends: [Connection, Connection][] = [];
    for (let i = 0; i <= PEERS; i++) {
      const near = await transport.connect({ hostname: "127.0.0.1", port: listener.port, timeout: 5000 });
      ends.push([near, await listener.accept()]);
    }
    const before = threads();
    const pouring = ends.map(([, far]) => pour(far, descriptor).catch(() => {}));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assertLessOrEqual(threads(), before + 8);
    // The last one reads, and gets much more than fits between the two.
    const [reader] = ends.at(-1) as [Connection, Connection];
    const buffer = new Uint8Array(REGION);
    let got = 0;
    while (got < 64 * REGION) got += await reader.read(buffer) ?? 0;
    // Their ends wake whoever waits.
    for (const [near, far] of ends) far.abort(), near.close();
    listener.close();
    assertEquals((await Promise.all(pouring)).length, PEERS + 1);
    for (const one of [descriptor, held, root]) descriptors.close(one);
    await Deno.remove(folder, { recursive: true });
  },
});
