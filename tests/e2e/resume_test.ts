import { assert, assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { randomBytes } from "node:crypto";
import { BYTES_AT_ONCE } from "../../lib/client/transfer.ts";
import { eventually, FSH, fsh, names, type Outcome, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { Proxy } from "../support/proxy.ts";
import { ramFolder } from "../support/ram.ts";
import { quicEnds } from "../support/scheme.ts";

const SIZE = 60_000_000;
/** Slow enough to be interrupted, in bytes per second. */
const RATE = 40_000_000;
/** KILLS sets another number of random kills. */
const KILLS = Number(Deno.env.get("FSH_KILLS") ?? 12);

interface Scene extends AsyncDisposable {
  readonly server: ServerProcess;
  readonly proxy: Proxy;
  readonly local: string;
  readonly content: Uint8Array;
}

/** A server with a file, the same file here, and a slow link between. */
async function scene(): Promise<Scene> {
  const server = await ServerProcess.start({ args: ["--durability", "none"] });
  const proxy = new Proxy(server.port, { rate: RATE });
  const local = await scratch();
  const content = randomBytes(SIZE);
  await Deno.writeFile(`${server.folder}/there`, content);
  await Deno.writeFile(`${local.path}/here`, content);
  return {
    server,
    proxy,
    local: local.path,
    content,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

/** Starts a get or put, and interrupts it once some of it has gone. */
async function interrupted(args: string[], folder: string, signal: Deno.Signal, bytes = 5_000_000): Promise<Outcome> {
  const client = spawnFsh(args);
  await eventually("a part file that grows", 10_000, () =>
    names(folder).some((name) => {
      try {
        return name.startsWith(".fsh-part-") && Deno.statSync(`${folder}/${name}`).size > bytes;
      } catch {
        return false;
      }
    }));
  client.kill(signal);
  const [status, err, out] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
  return { code: status.code, err, out };
}

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  Deno.test(`a get that ${signal} ended goes on with --resume`, async () => {
    await using stage = await scene();
    const { proxy, server, local, content } = stage;
    const first = await interrupted(["get", `${proxy.url}there`, `${local}/copy`], local, signal);
    if (signal === "SIGINT") assertStringIncludes(first.err, "fsh get --resume");
    const before = proxy.passed.client;
    const again = await fsh(["get", "--resume", `${proxy.url}there`, `${local}/copy`]);
    assertEquals(again.code, 0, again.err);
    assertMatch(again.err, /going on behind/);
    assertLessOrEqual(proxy.passed.client - before, SIZE - 4_000_000);
    assertEquals(await Deno.readFile(`${local}/copy`), new Uint8Array(content));
    assertEquals(names(local), ["copy", "here"]);
    assertEquals(names(server.folder), ["there"]);
  });

  Deno.test(`a put that ${signal} ended goes on with --resume`, async () => {
    await using stage = await scene();
    const { proxy, server, local, content } = stage;
    await interrupted(["put", `${local}/here`, `${proxy.url}new`], server.folder, signal);
    const before = proxy.passed.server;
    const again = await fsh(["put", "--resume", `${local}/here`, `${proxy.url}new`]);
    assertEquals(again.code, 0, again.err);
    assertMatch(again.err, /going on behind/);
    assertLessOrEqual(proxy.passed.server - before, SIZE - 4_000_000);
    assertEquals(await Deno.readFile(`${server.folder}/new`), new Uint8Array(content));
    assertEquals(names(server.folder), ["new", "there"]);
  });
}

Deno.test("a changed source and a damaged part file start over, and say why", async () => {
  await using stage = await scene();
  const { proxy, server, local, content } = stage;
  await interrupted(["put", `${local}/here`, `${proxy.url}new`], server.folder, "SIGKILL");
  const changed = new Uint8Array(content);
  changed[1000] = (changed[1000] ?? 0) ^ 1;
  await Deno.writeFile(`${local}/here`, changed);
  const put = await fsh(["put", "--resume", `${local}/here`, `${proxy.url}new`]);
  assertEquals(put.code, 0, put.err);
  assertMatch(put.err, /differ; starting over/);
  assertEquals(await Deno.readFile(`${server.folder}/new`), changed);

  await interrupted(["get", `${proxy.url}there`, `${local}/copy`], local, "SIGKILL");
  const part = names(local).find((name) => name.startsWith(".fsh-part-")) ?? "";
  using damaged = await Deno.open(`${local}/${part}`, { write: true });
  await damaged.seek(12345, Deno.SeekMode.Start);
  await damaged.write(new TextEncoder().encode("damage"));
  const got = await fsh(["get", "--resume", `${proxy.url}there`, `${local}/copy`]);
  assertEquals(got.code, 0, got.err);
  assertMatch(got.err, /differ; starting over/);
  assertEquals(await Deno.readFile(`${local}/copy`), new Uint8Array(content));
});

Deno.test("a connection that is cut in mid-transfer is tried again without the user", async () => {
  await using stage = await scene();
  const { proxy, server, local, content } = stage;
  const runs = [
    ["get", "--force", `${proxy.url}there`, `${local}/copy`],
    ["put", `${local}/here`, `${proxy.url}new`],
  ];
  for (const args of runs) {
    const before = proxy.passed.client + proxy.passed.server;
    const running = fsh(args);
    for (let i = 0; i < 3; i++) await cutUnderWay(proxy);
    const { code, err } = await running;
    assertEquals(code, 0, err);
    assertMatch(err, /trying again/);
    // The size, and what was under way at each cut.
    assertLessOrEqual(proxy.passed.client + proxy.passed.server - before, SIZE * 1.1 + 3 * 4 * 1024 * 1024);
  }
  assertEquals(await Deno.readFile(`${local}/copy`), new Uint8Array(content));
  assertEquals(await Deno.readFile(`${server.folder}/new`), new Uint8Array(content));
  assertEquals(names(server.folder), ["new", "there"]);
  assertEquals(names(local), ["copy", "here"]);

  // Into a pipe nothing can be taken back, but it can go on.
  const child = new Deno.Command(FSH, { args: ["get", "-q", `${proxy.url}there`, "-"] }).output();
  await cutUnderWay(proxy);
  const { code, stdout } = await child;
  assertEquals(code, 0);
  assertEquals(new Uint8Array(stdout), new Uint8Array(content));
});

/** Cuts the connection once some of the file has gone over it. */
async function cutUnderWay(proxy: Proxy): Promise<void> {
  const passed = () => proxy.passed.client + proxy.passed.server;
  const before = passed();
  await eventually("bytes to pass", 30_000, () => passed() - before > 8_000_000);
  proxy.cut();
}

Deno.test("a reconnecting owner takes over its own half-open put at once", async () => {
  await using stage = await scene();
  const { proxy, server, local, content } = stage;
  const client = spawnFsh(["put", "-q", `${local}/here`, `${proxy.url}new`]);
  await eventually("the put to begin", 5000, () => names(server.folder).length > 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  // The server does not learn that its client is gone.
  client.kill("SIGSTOP");
  const again = await fsh(["put", "--resume", `${local}/here`, `${server.url}new`]);
  assertEquals(again.code, 0, again.err);
  assertMatch(again.err, /going on behind/);
  assertEquals(await Deno.readFile(`${server.folder}/new`), new Uint8Array(content));
  client.kill("SIGKILL");
  await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
});

/** What may be under way of one file and is lost with a connection, in bytes; of a tree it is BYTES_AT_ONCE. */
const WINDOW = 4 * 1024 * 1024;
const FILES = 2000;

Deno.test({
  name: `${KILLS} kills at random moments, of client, server and connection: every transfer ends whole`,
  // An attempt at a server that was killed ends by silence only, after 25 s.
  sanitizeOps: quicEnds === null,
  async fn() {
    await using local = await ramFolder(6 * SIZE);
    await using served = await ramFolder(6 * SIZE);
    const folder = served.path;
    const content = randomBytes(SIZE);
    await Deno.writeFile(`${folder}/there`, content);
    await Deno.writeFile(`${local.path}/here`, content);
    for (const tree of [`${local.path}/tree`, `${folder}/tree`]) {
      await Deno.mkdir(`${tree}/deep`, { recursive: true });
      for (let i = 0; i < FILES; i++) await Deno.writeFile(`${tree}/deep/${i}`, randomBytes(SIZE / FILES));
    }
    // That a server was killed is told by its system over TCP, and by nobody over QUIC.
    const noticing = quicEnds ? ["--heartbeat", "2s"] : [];
    const jobs = (url: string) => [
      ["get", "--resume", `${url}there`, `${local.path}/copy`],
      ["put", "--resume", `${local.path}/here`, `${url}new`],
      ["get", "--resume", "-r", `${url}tree`, `${local.path}/got`],
      ["put", "--resume", "-r", `${local.path}/tree`, `${url}put`],
    ];
    for (let round = 0; round < KILLS; round++) {
      let server = await ServerProcess.start({ folder, args: ["--durability", "none"] });
      const proxy = new Proxy(server.port, { rate: RATE });
      const what = ["client", "server", "connection"][round % 3];
      const args = jobs(proxy.url)[Math.floor(round / 3) % 4] ?? [];
      const client = spawnFsh([...args, "--retries", "0", ...noticing]);
      await new Promise((resolve) => setTimeout(resolve, 80 + Math.random() * 1200));
      if (what === "client") kill(client);
      else if (what === "server") await server.stop("SIGKILL");
      else proxy.cut();
      await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
      if (what === "server") server = await ServerProcess.start({ folder, args: ["--durability", "none"] });
      const job = Math.floor(round / 3) % 4;
      const again = new Proxy(server.port);
      const { code, err } = await fsh(jobs(again.url)[job] ?? []);
      assertEquals(code, 0, `${what} killed in ${args.join(" ")}: ${err}`);
      const moved = [proxy, again].reduce((sum, { passed }) => sum + passed.client + passed.server, 0);
      const lost = job < 2 ? WINDOW : BYTES_AT_ONCE;
      assertLessOrEqual(moved, 1.1 * SIZE + lost, `${what} killed in ${args.join(" ")}: ${moved} bytes`);
      await proxy[Symbol.asyncDispose]();
      await again[Symbol.asyncDispose]();
      await server.stop();
      const pairs = [["there", "copy"], ["new", "here"]] as const;
      for (const [theirs, ours] of pairs) {
        const both = [`${folder}/${theirs}`, `${local.path}/${ours}`];
        if (!both.every((path) => exists(path))) continue;
        for (const path of both) assert(content.equals(await Deno.readFile(path)), path);
        await Deno.remove(theirs === "new" ? both[0] ?? "" : both[1] ?? "");
      }
      for (const tree of [[`${folder}/tree`, `${local.path}/got`], [`${folder}/put`, `${local.path}/tree`]]) {
        if (!tree.every((path) => exists(path))) continue;
        const { success, stdout } = await new Deno.Command("diff", { args: ["-r", ...tree] }).output();
        assert(success, new TextDecoder().decode(stdout));
        await Deno.remove(tree[0]?.endsWith("put") ? tree[0] : tree[1] ?? "", { recursive: true });
      }
      assertEquals(names(folder), ["there", "tree"]);
      assertEquals(names(local.path), ["here", "tree"]);
    }
  },
});

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It had finished before.
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
