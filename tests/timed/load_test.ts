import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { createHash } from "node:crypto";
import { toText } from "@std/streams";
import { equalBytes } from "../../lib/base/bytes.ts";
import { Client } from "../../lib/client/client.ts";
import { currentMemory, eventually, fsh, names, peakMemory, ServerProcess, spawnFsh } from "../support/program.ts";

const CLIENTS = 200;
/** FSH_LONG=1 makes it a minute of load and a file of 8 GiB. */
const LONG = Deno.env.get("FSH_LONG") === "1";
/** Seconds; FSH_SOAK sets another length. */
const SECONDS = Number(Deno.env.get("FSH_SOAK") ?? (LONG ? 60 : 10));
/** Of the sparse file, in GiB. */
const GIB = LONG ? 8 : 1;
/** MiB that either process may have, whatever the file's size. */
const MEMORY = 150;

/** Bytes that can be told from those of any other client and round. */
function pattern(client: number, round: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = (client * 2654435761 + round * 40503 + 1) >>> 0;
  const words = new Uint32Array(bytes.buffer, 0, size >> 2);
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  return bytes;
}

/** Has all clients put and get for some seconds; answers how many transfers there were. */
async function load(port: number, seconds: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => Client.connect({ hostname: "127.0.0.1", port })),
  );
  let transfers = 0;
  const end = performance.now() + seconds * 1000;
  await Promise.all(clients.map(async (client, number) => {
    for (let round = 1; performance.now() < end; round++, transfers += 2) await putAndGet(client, number, round);
  }));
  await Promise.all(clients.map((client) => client.close()));
  return transfers;
}

async function putAndGet(client: Client, number: number, round: number): Promise<void> {
  const size = [0, 5, 4096, 100_000, 1_500_000][(number + round) % 5] ?? 0;
  const sent = pattern(number, round, size);
  let at = 0;
  await client.put(`/file-${number}`, {
    read(buffer) {
      const some = sent.subarray(at, at + buffer.length);
      buffer.set(some);
      at += some.length;
      return Promise.resolve(some.length === 0 ? null : some.length);
    },
  }, { size });
  let same = 0;
  await client.get(`/file-${number}`, {
    open: () => (chunk) => {
      if (!equalBytes(chunk, sent.subarray(same, same + chunk.length))) throw new Error(`a byte from ${same} on`);
      same += chunk.length;
    },
  });
  assertEquals(same, size);
}

/** Memory of the idle server, in MiB. */
async function idleMemory(server: ServerProcess): Promise<number> {
  await eventually("every session to end", 10_000, () => {
    const count = (pattern: RegExp) => server.log.match(pattern)?.length;
    return count(/session opened/g) === count(/session ended/g);
  });
  // What it frees is given back half a second later.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return currentMemory(server.pid);
}

Deno.test(`${CLIENTS} clients at once put and get their own files for ${SECONDS} s, every byte equal`, async () => {
  await using server = await ServerProcess.start({ args: ["--durability", "none"] });
  const fresh = currentMemory(server.pid);
  // Until the runtime has compiled what is hot and its heap has its working size.
  await load(server.port, 12);
  const before = await idleMemory(server);
  const transfers = await load(server.port, SECONDS);
  const peak = peakMemory(server.pid);
  const after = await idleMemory(server);
  console.log(
    `${transfers} transfers; server MiB: ${fresh.toFixed(0)} fresh, ${before.toFixed(0)} idle after 12 s of load, ` +
      `${peak.toFixed(0)} peak, ${after.toFixed(0)} idle after ${SECONDS} s`,
  );
  assertLessOrEqual(after, before * 1.2);
  assertEquals(names(server.folder).length, CLIENTS);
  assert(!/ (error|warn) /.test(server.log), server.log.slice(-2000));
});

Deno.test(`a sparse file of ${GIB} GiB goes both ways in less than ${MEMORY} MiB of either process`, async () => {
  const size = GIB * 1024 ** 3;
  await using server = await ServerProcess.start({ args: ["--durability", "none"] });
  const source = `${server.folder}/source`;
  await Deno.writeFile(source, new Uint8Array());
  await Deno.truncate(source, size);
  // Zeros, and their SHA-256 by this process's own reading.
  const expected = await sha256OfZeros(size);

  for (
    const args of [["put", "-q", source, `${server.url}there`], [
      "get",
      "-q",
      `${server.url}there`,
      `${server.folder}/back`,
    ]]
  ) {
    const child = spawnFsh(args);
    let peak = 0;
    const timer = setInterval(() => peak = Math.max(peak, peakMemory(child.pid)), 50);
    const [{ code }, err] = await Promise.all([child.status, toText(child.stderr), toText(child.stdout)]);
    clearInterval(timer);
    assertEquals(code, 0, err);
    console.log(`${args[0]}: client ${peak.toFixed(0)} MiB, server ${peakMemory(server.pid).toFixed(0)} MiB`);
    assertLessOrEqual(peak, MEMORY);
    assertLessOrEqual(peakMemory(server.pid), MEMORY);
    if (args[0] === "get") await Deno.remove(`${server.folder}/there`);
  }
  const { out, code } = await fsh(["hash", `${server.url}back`]);
  assertEquals(code, 0);
  assertEquals(out.split(" ")[0], expected);
});

async function sha256OfZeros(size: number): Promise<string> {
  const hash = createHash("sha256");
  const zeros = new Uint8Array(16 * 1024 * 1024);
  for (let at = 0; at < size; at += zeros.length) {
    hash.update(zeros);
    await undefined;
  }
  return hash.digest("hex");
}
