import { assert, assertEquals, assertRejects } from "@std/assert";
import { toFshError } from "../../lib/base/errors.ts";
import { native } from "../../lib/native/load.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { DEFAULT_TUNING } from "../../lib/transport/tuning.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { eventually } from "../support/program.ts";

const needsNative = { ignore: native().sockets === null };
/** More than the receiver's buffers take, less than the sender's. */
const BYTES = 600_000;

/** Two ends, the near one with bytes in its buffer that the far one has no room for. */
async function stuffed(linger: number): Promise<{ near: Connection; far: Connection }> {
  const tuning = { ...DEFAULT_TUNING, linger, sendBuffer: 1_000_000, receiveBuffer: 20_000 };
  const transport = new TcpTransport(tuning);
  const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  const [far, near] = await Promise.all([
    transport.connect({ hostname: "127.0.0.1", port: listener.port, timeout: 5000 }),
    listener.accept(),
  ]);
  listener.close();
  await writeAll(near, new Uint8Array(BYTES));
  return { near, far };
}

async function readAll(connection: Connection): Promise<number> {
  const into = new Uint8Array(1 << 16);
  let got = 0;
  for (;;) {
    const read = await connection.read(into);
    if (read === null) return got;
    got += read;
  }
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("a socket that lingers holds up nobody else, and its peer gets everything", needsNative, async () => {
  const before = descriptors();
  const { near, far } = await stuffed(60);
  const begun = performance.now();
  near.close();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert(performance.now() - begun < 5000, "closing held up the program");
  assertEquals(await readAll(far), BYTES);
  far.close();
  await eventually("the descriptors to be closed", 5000, () => descriptors() <= before);
});

Deno.test("a linger of nothing drops what was not sent, and resets", needsNative, async () => {
  const { near, far } = await stuffed(0);
  near.close();
  const error = toFshError(await assertRejects(() => readAll(far)));
  assertEquals(error.error, "CONNECTION_RESET");
  far.close();
});

Deno.test("where too many linger, the others do so in the kernel", needsNative, async () => {
  const before = descriptors();
  const pairs = [];
  for (let i = 0; i < 12; i++) pairs.push(await stuffed(60));
  for (const { near } of pairs) near.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Each pair's far end is open, and no more than eight of the near ones wait.
  assert(descriptors() <= before + pairs.length + 8, "descriptors are left");
  for (const { far } of pairs) {
    assertEquals(await readAll(far), BYTES);
    far.close();
  }
  await eventually("the descriptors to be closed", 5000, () => descriptors() <= before);
});
