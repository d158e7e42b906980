import { assertEquals, assertLessOrEqual } from "@std/assert";
import { measure } from "../support/memory.ts";
import { names, peakMemory, ServerProcess } from "../support/program.ts";
import { ramFolder } from "../support/ram.ts";

/** FSH_LONG=1 moves the largest sizes and numbers in every direction. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const GIB = 1024 ** 3;
const SIZES = {
  get: [100_000_000, GIB, 16 * GIB],
  // These bytes are written.
  put: [100_000_000, GIB, (LONG ? 16 : 4) * GIB],
} as const;
const COUNTS = [1_000, LONG ? 100_000 : 20_000] as const;
/** MiB by which two runs of the same thing differ. */
const NOISE = 8;

interface Peaks {
  readonly client: number;
  readonly server: number;
}

/** Both peaks of the larger job are at most `factor` times those of the smaller one. */
function assertBounded(larger: Peaks, smaller: Peaks, factor: number): void {
  const most = mostFor(smaller, factor);
  assertLessOrEqual(larger.client, most.client);
  assertLessOrEqual(larger.server, most.server);
}

function mostFor({ client, server }: Peaks, factor: number): Peaks {
  return { client: client * factor + NOISE, server: server * factor + NOISE };
}

/**
 * What a job takes. It is done again where that is more than it may be: a machine that stood still for a moment shows
 * once, and growth always.
 */
async function twiceAtMost(job: () => Promise<Peaks>, most: Peaks | null): Promise<Peaks> {
  const found = await job();
  return most === null || (found.client <= most.client && found.server <= most.server) ? found : await job();
}

function show(what: string, { client, server }: Peaks): void {
  console.log(`${what}: client ${client.toFixed(0)} MiB, server ${server.toFixed(0)} MiB`);
}

/** Runs fsh against a server; the peaks of both. */
async function peaks(server: ServerProcess, args: readonly string[]): Promise<Peaks> {
  const { code, err, peak } = await measure(args);
  assertEquals(code, 0, err);
  return { client: peak, server: peakMemory(server.pid) };
}

async function ofFile(direction: "get" | "put", size: number): Promise<Peaks> {
  // A sparse file takes no room.
  await using sparse = await ramFolder(0);
  await Deno.writeFile(`${sparse.path}/large`, new Uint8Array());
  await Deno.truncate(`${sparse.path}/large`, size);
  if (direction === "get") {
    await using server = await ServerProcess.start({ folder: sparse.path });
    return await peaks(server, ["get", "-q", `${server.url}large`, "-"]);
  }
  // Onto a disk that is slower than the link more has to wait in memory, whatever the size.
  const target = LONG ? {} : { folder: (await ramFolder(2 * size)).path };
  await using server = await ServerProcess.start({ ...target, args: ["--durability", "none"] });
  const found = await peaks(server, ["put", "-q", `${sparse.path}/large`, `${server.url}large`]);
  assertEquals((await Deno.stat(`${server.folder}/large`)).size, size);
  return found;
}

async function ofTree(direction: "get" | "put", count: number): Promise<Peaks> {
  await using local = await ramFolder(count * 8192);
  await using served = await ramFolder(count * 8192);
  await using server = await ServerProcess.start({ folder: served.path, args: ["--durability", "none"] });
  const [from, to] = direction === "get" ? [served.path, local.path] : [local.path, served.path];
  // One large folder, and many small ones.
  Deno.mkdirSync(`${from}/tree/all`, { recursive: true });
  const content = new Uint8Array(100);
  for (let i = 0; i < count / 2; i++) {
    Deno.writeFileSync(`${from}/tree/all/${i}`, content);
    if (i % 50 === 0) Deno.mkdirSync(`${from}/tree/${i}`);
    Deno.writeFileSync(`${from}/tree/${i - i % 50}/${i}`, content);
  }
  const args = direction === "get" ? [`${server.url}tree`, to] : [`${from}/tree`, server.url];
  const found = await peaks(server, [direction, "-q", "-r", ...args]);
  assertEquals(names(`${to}/tree/all`).length, count / 2);
  return found;
}

for (const direction of ["get", "put"] as const) {
  Deno.test(`memory does not grow with the size of a file: ${direction}`, async () => {
    let smallest: Peaks | null = null;
    for (const size of SIZES[direction]) {
      const found = await twiceAtMost(() => ofFile(direction, size), smallest && mostFor(smallest, 1.2));
      show(`${direction} of ${(size / GIB).toFixed(1)} GiB`, found);
      assertBounded(found, smallest ??= found, 1.2);
    }
  });

  Deno.test(`memory does not grow with the number of files: ${direction}`, async () => {
    const few = await ofTree(direction, COUNTS[0]);
    show(`${direction} of ${COUNTS[0]} files`, few);
    const many = await ofTree(direction, COUNTS[1]);
    show(`${direction} of ${COUNTS[1]} files`, many);
    assertBounded(many, few, 1.5);
  });
}
