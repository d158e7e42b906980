import { assert, assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { native } from "../../lib/native/load.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { eventually, fsh, names, scratch, ServerProcess, spawnFsh } from "../support/program.ts";

/** (misses + 1) × interval = 1.2 s of silence; what a loaded machine adds is the rest. */
const HEARTBEAT = ["--heartbeat", "300ms", "--heartbeat-misses", "3"];
const DEADLINE = 1200;
const SLACK = 3000;

/** A server with a file that can't be moved before the fault comes. */
async function serverWithLargeFile(): Promise<ServerProcess> {
  const server = await ServerProcess.start({ args: HEARTBEAT });
  await Deno.writeFile(`${server.folder}/large`, new Uint8Array());
  await Deno.truncate(`${server.folder}/large`, 200_000_000_000);
  return server;
}

/** Endless input for `put -`. */
function endless(): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(65536);
  return new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }, { highWaterMark: 0 });
}

/** Waits until the process has moved some bytes into the folder. */
async function underWay(folder: string, except: readonly string[] = []): Promise<void> {
  await eventually("a part file that grows", 10_000, () =>
    names(folder).some((name) => {
      if (!name.startsWith(".fsh-part-") || except.includes(name)) return false;
      try {
        return Deno.statSync(`${folder}/${name}`).size > 5_000_000;
      } catch {
        return false;
      }
    }));
}

/** Names in a folder that are not fsh's own unfinished files. */
function visible(folder: string): string[] {
  return names(folder).filter((name) => !name.startsWith(".fsh-part-"));
}

/** A get or put that has no end, under way, and is not tried again. */
async function startTransfer(
  direction: "get" | "put",
  server: ServerProcess,
  folder: string,
  options: readonly string[] = [],
): Promise<Deno.ChildProcess> {
  const common = ["-q", "--retries", "0", ...options];
  const client = direction === "get"
    ? spawnFsh(["get", ...common, `${server.url}large`, `${folder}/copy`])
    : spawnFsh(["put", ...common, "-", `${server.url}new`], { stdin: endless() });
  await underWay(direction === "get" ? folder : server.folder);
  return client;
}

/** The server has let go of all that the session held. */
async function assertFreed(server: ServerProcess, before: number): Promise<void> {
  await eventually(`${before} descriptors`, 5000, () => server.descriptors() <= before);
}

for (const direction of ["get", "put"] as const) {
  Deno.test(`a client that is frozen in mid-${direction} is noticed, named and let go`, async () => {
    await using server = await serverWithLargeFile();
    await using local = await scratch();
    await fsh(["ls", server.url]);
    const before = server.descriptors();
    const client = await startTransfer(direction, server, local.path);
    client.kill("SIGSTOP");
    const begun = performance.now();
    const line = await server.logged(/session ended.*timed-out.*PEER_TIMEOUT.*/, DEADLINE + SLACK);
    assertMatch(line, /remote=127\.0\.0\.1:\d+/);
    assertMatch(line, /no sign of life/);
    assertLessOrEqual(performance.now() - begun, DEADLINE + SLACK);
    await assertFreed(server, before);
    assertEquals(names(server.folder), ["large"]);
    client.kill("SIGCONT");
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    assertEquals(code, 3, err);
    assertEquals(visible(local.path), []);
  });

  Deno.test(`a server that is frozen in mid-${direction} is noticed and named`, async () => {
    await using server = await serverWithLargeFile();
    await using local = await scratch();
    const client = await startTransfer(direction, server, local.path, HEARTBEAT);
    server.child.kill("SIGSTOP");
    const begun = performance.now();
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    assertLessOrEqual(performance.now() - begun, DEADLINE + SLACK);
    assertEquals(code, 3, err);
    assertStringIncludes(err, `127.0.0.1:${server.port}`);
    assertStringIncludes(err, "no sign of life");
    assertEquals(visible(local.path), []);
    server.child.kill("SIGCONT");
    await eventually("the part file to go", 5000, () => names(server.folder).length === 1);
  });

  Deno.test(`a client that is killed in mid-${direction} leaves nothing on the server`, async () => {
    await using server = await serverWithLargeFile();
    await using local = await scratch();
    await fsh(["ls", server.url]);
    const before = server.descriptors();
    const client = await startTransfer(direction, server, local.path);
    client.kill("SIGKILL");
    await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    assertMatch(await server.logged(/session ended.*abrupt.*/), /CONNECTION_(RESET|LOST)/);
    await assertFreed(server, before);
    assertEquals(names(server.folder), ["large"]);
    assertEquals(visible(local.path), []);
  });

  Deno.test(`a server that is killed in mid-${direction} ends the client at once, with a reason`, async () => {
    await using server = await serverWithLargeFile();
    await using local = await scratch();
    const client = await startTransfer(direction, server, local.path);
    server.child.kill("SIGKILL");
    const begun = performance.now();
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    assertLessOrEqual(performance.now() - begun, 3000);
    assertEquals(code, 3, err);
    assertStringIncludes(err, `127.0.0.1:${server.port}`);
    assertEquals(visible(local.path), []);
    assertEquals(visible(server.folder), ["large"]);
    assertEquals((await fsh(["ls", `fsh://127.0.0.1:${server.port}/`])).code, 3);
  });

  Deno.test(`exit status 130: Ctrl-C in mid-${direction} keeps what can be continued, and nothing else`, async () => {
    await using server = await serverWithLargeFile();
    await using local = await scratch();
    const client = await startTransfer(direction, server, local.path);
    client.kill("SIGINT");
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    assertEquals(code, 130, err);
    assertStringIncludes(err, "interrupted");
    // What comes from standard input can't be continued.
    if (direction === "get") assertEquals(names(local.path).length, 1);
    assertEquals(visible(local.path), []);
    await eventually("the part file to go", 5000, () => names(server.folder).length === 1);
  });
}

Deno.test("a slow reader is not dead: a get into a pipe that is not read outlives the heartbeat", async () => {
  await using server = await ServerProcess.start({ args: HEARTBEAT });
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array(30_000_000));
  const client = spawnFsh(["get", "-q", "--retries", "0", ...HEARTBEAT, `${server.url}file`, "-"]);
  // Nothing reads its output for longer than (misses + 1) × interval.
  await new Promise((resolve) => setTimeout(resolve, 2 * DEADLINE));
  let size = 0;
  for await (const chunk of client.stdout) size += chunk.length;
  const [{ code }, err] = await Promise.all([client.status, toText(client.stderr)]);
  assertEquals(code, 0, err);
  assertEquals(size, 30_000_000);
  assert(!server.log.includes("PEER_TIMEOUT"), server.log);
});

Deno.test("SIGTERM lets a running transfer finish and takes no new session", async () => {
  await using server = await ServerProcess.start();
  const slow = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (let i = 0; i < 10; i++) {
        controller.enqueue(new Uint8Array(1000));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      controller.close();
    },
  });
  const put = fsh(["put", "-q", "-", `${server.url}slow`], { stdin: slow });
  await eventually("the put to begin", 5000, () => names(server.folder).length > 0);
  server.child.kill("SIGTERM");
  await server.logged(/going down/);
  assertEquals((await fsh(["ls", server.url])).code, 3);
  assertEquals((await put).code, 0);
  // By itself: a second signal would end it at once.
  assertEquals((await server.child.status).code, 0);
  assertEquals((await Deno.stat(`${server.folder}/slow`)).size, 10_000);
});

Deno.test("a server out of descriptors goes on accepting once some are free", async () => {
  await using server = await ServerProcess.start({
    command: ["prlimit", "--nofile=60", (await import("../support/program.ts")).FSH],
  });
  const crowd: Deno.TcpConn[] = [];
  for (let i = 0; i < 80; i++) crowd.push(await Deno.connect({ hostname: "127.0.0.1", port: server.port }));
  await server.logged(/accepting connections fails/);
  for (const connection of crowd) connection.close();
  await server.logged(/accepting again/);
  assertEquals((await fsh(["ls", server.url])).code, 0);
});

for (const [scheme, args] of [["fsh", []], ["fshs", ["--tls"]]] as const) {
  Deno.test(`${scheme}: clients that are gone before they are accepted hold up nobody`, {
    ignore: native().sockets === null,
  }, async () => {
    await using home = await scratch();
    const env = { XDG_CONFIG_HOME: home.path };
    await using server = await ServerProcess.start({ args, env });
    server.child.kill("SIGSTOP");
    for (let i = 0; i < 100; i++) {
      const gone = await new TcpTransport().connect({ hostname: "127.0.0.1", port: server.port, timeout: 5000 });
      gone.abort();
    }
    server.child.kill("SIGCONT");
    const begun = performance.now();
    const trust = scheme === "fshs" ? ["--accept-new"] : [];
    assertEquals((await fsh(["ls", ...trust, server.url], { env })).code, 0);
    // A pause of a second for each of them, as where descriptors run out, would make it a minute and a half.
    assertLessOrEqual(performance.now() - begun, 5000);
  });
}
