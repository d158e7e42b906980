import { assert, assertEquals, assertMatch } from "@std/assert";
import { toText } from "@std/streams";
import { randomBytes } from "node:crypto";
import { flipByte } from "../support/damage.ts";
import { assertOld, partFiles, placeOld } from "../support/old_file.ts";
import { eventually, fsh, type Outcome, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { Proxy } from "../support/proxy.ts";
import { joined } from "../support/raw_frame.ts";

const SIZE = 12_000_000;
/** Bytes that are there before a transfer is cut. */
const BEGUN = 4_000_000;

interface Scene extends AsyncDisposable {
  readonly proxy: Proxy;
  /** Path of the source; path of the target, where an older file lies. */
  readonly source: string;
  readonly target: string;
  /** Folder of the target. */
  readonly to: string;
  /** Arguments that move the source to the target. */
  readonly args: (...options: string[]) => string[];
}

/** A server, a slow link, a source on the one side and an older file on the other. */
async function scene(direction: "get" | "put", content: Uint8Array, rate = 25_000_000): Promise<Scene> {
  const server = await ServerProcess.start({ args: ["--durability", "none"] });
  const local = await scratch();
  const proxy = new Proxy(server.port, { rate });
  const [from, to] = direction === "get" ? [server.folder, local.path] : [local.path, server.folder];
  await Deno.writeFile(`${from}/source`, content);
  await placeOld(`${to}/target`);
  return {
    proxy,
    source: `${from}/source`,
    target: `${to}/target`,
    to,
    args: (...options) =>
      direction === "get"
        ? ["get", "--force", ...options, `${proxy.url}source`, `${to}/target`]
        : ["put", ...options, `${from}/source`, `${proxy.url}target`],
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

async function ended(client: Deno.ChildProcess): Promise<Outcome> {
  const [{ code }, out, err] = await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
  return { code, out, err };
}

/** Waits until some of the source has arrived. */
async function begun(stage: Scene, bytes = BEGUN): Promise<void> {
  await eventually("a part file that grows", 10_000, () => {
    const [part] = partFiles(stage.to);
    return part !== undefined && Deno.statSync(part).size > bytes;
  });
}

/** Has a transfer begin and cuts its connection; what came is left. */
async function cut(stage: Scene): Promise<void> {
  const client = ended(spawnFsh(stage.args("--retries", "0")));
  await begun(stage);
  stage.proxy.cut();
  const { code, err } = await client;
  assertEquals(code, 3, err);
  await assertOld(stage.target);
}

/** The second run started over, said so, and all is well. */
async function assertStartedOver(stage: Scene, again: Outcome, content: Uint8Array): Promise<void> {
  assertEquals(again.code, 0, again.err);
  await assertWhole(stage, content);
  assertMatch(again.err, /starting over/);
}

async function assertWhole(stage: Scene, content: Uint8Array): Promise<void> {
  const there = await Deno.readFile(stage.target);
  assertEquals(there.length, content.length);
  assert(content.every((byte, i) => byte === there[i]), "it differs from its source");
  assertEquals(partFiles(stage.to), []);
}

function otherByte(bytes: Uint8Array): Uint8Array {
  const other = bytes.slice();
  other[1000] = (other[1000] ?? 0) ^ 1;
  return other;
}

/** What may become of a source; a put of other bytes of one size is in resume_test.ts. */
const CHANGES: readonly (readonly [what: string, change: (bytes: Uint8Array) => Uint8Array])[] = [
  ["has other bytes and the same size", otherByte],
  ["is shorter than what was moved", (bytes) => bytes.slice(0, 2_000_000)],
  ["is too short to be kept", (bytes) => bytes.slice(0, 300_000)],
  ["is empty", () => new Uint8Array()],
  ["is longer and other", (bytes) => joined(randomBytes(500_000), bytes)],
];

for (const direction of ["get", "put"] as const) {
  for (const [what, change] of CHANGES.slice(direction === "get" ? 0 : 1)) {
    Deno.test(`${direction} --resume starts over when the source ${what} now`, async () => {
      const content = new Uint8Array(randomBytes(SIZE));
      await using stage = await scene(direction, content);
      await cut(stage);
      const changed = change(content);
      await Deno.writeFile(stage.source, changed);
      await assertStartedOver(stage, await fsh(stage.args("--resume")), changed);
    });
  }

  Deno.test(`${direction} --resume of a source that only grew ends equal`, async () => {
    const content = new Uint8Array(randomBytes(SIZE));
    await using stage = await scene(direction, content);
    await cut(stage);
    const grown = joined(content, randomBytes(500_000));
    await Deno.writeFile(stage.source, grown);
    const again = await fsh(stage.args("--resume"));
    assertEquals(again.code, 0, again.err);
    await assertWhole(stage, grown);
  });

  Deno.test(`${direction}: a source that changes while a lost connection is tried again starts over`, async () => {
    const content = new Uint8Array(randomBytes(SIZE));
    await using stage = await scene(direction, content);
    const changed = otherByte(content);
    await Deno.writeFile(`${stage.source}.new`, changed);
    const client = ended(spawnFsh(stage.args()));
    await begun(stage);
    stage.proxy.cut();
    await Deno.rename(`${stage.source}.new`, stage.source);
    await assertStartedOver(stage, await client, changed);
  });

  Deno.test(`what a killed ${direction} of a small file has left is used up by --resume`, async () => {
    const content = new Uint8Array(randomBytes(900_000));
    await using stage = await scene(direction, content, 1_500_000);
    const client = spawnFsh(stage.args());
    // It is one frame, which is written once it is whole.
    await begun(stage, -1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.kill("SIGKILL");
    await ended(client);
    await assertOld(stage.target);
    const again = await fsh(stage.args("--resume"));
    assertEquals(again.code, 0, again.err);
    await assertWhole(stage, content);
  });
}

Deno.test("put --resume starts over when the part file was damaged on the server's disk", async () => {
  const content = new Uint8Array(randomBytes(SIZE));
  await using stage = await scene("put", content);
  await cut(stage);
  await flipByte(partFiles(stage.to)[0] ?? "", 12345);
  await assertStartedOver(stage, await fsh(stage.args("--resume")), content);
});

Deno.test("a part file that is longer than the source starts over, both ways", async () => {
  for (const direction of ["get", "put"] as const) {
    const content = new Uint8Array(randomBytes(SIZE));
    await using stage = await scene(direction, content);
    await cut(stage);
    await Deno.truncate(partFiles(stage.to)[0] ?? "", SIZE + 1);
    await assertStartedOver(stage, await fsh(stage.args("--resume")), content);
  }
});
