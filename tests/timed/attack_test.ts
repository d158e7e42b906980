import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { withDeadline } from "../../lib/base/clock.ts";
import { eventually, FSH, fsh, names, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { Proxy } from "../support/proxy.ts";

const HEARTBEAT = ["--heartbeat", "300ms", "--heartbeat-misses", "2"];

Deno.test("frozen clients hold neither sockets nor files once their heartbeats are missed, full buffers or not", async () => {
  await using server = await ServerProcess.start({ args: HEARTBEAT });
  await Deno.mkdir(`${server.folder}/tree`);
  for (let i = 0; i < 8; i++) {
    await Deno.writeFile(`${server.folder}/tree/${i}`, new Uint8Array());
    await Deno.truncate(`${server.folder}/tree/${i}`, 50_000_000_000);
  }
  await fsh(["ls", server.url]);
  const before = server.descriptors();
  // Its socket, the file, and on Linux the file once more for sending it without reading.
  const each = Deno.build.os === "linux" ? 3 : 2;
  const clients = names(`${server.folder}/tree`).map((name) =>
    spawnFsh(["get", "-q", "--retries", "0", `${server.url}tree/${name}`, "/dev/null"])
  );
  await eventually("all the gets to begin", 5000, () => server.descriptors() >= before + each * clients.length);
  for (const client of clients) client.kill("SIGSTOP");
  await eventually("all to be missed", 5000, () => (server.log.match(/PEER_TIMEOUT/g)?.length ?? 0) >= clients.length);
  await eventually("all descriptors to be back", 3000, () => server.descriptors() <= before);
  for (const client of clients) {
    client.kill("SIGKILL");
    await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
  }
});

Deno.test("a put of an old file is not swept away by listings while it is committed", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.writeFile(`${local.path}/old`, new Uint8Array(100_000_000));
  await Deno.utime(`${local.path}/old`, 1_000_000_000, 1_000_000_000);
  const put = fsh(["put", `${local.path}/old`, server.url]);
  let done = false;
  put.finally(() => done = true);
  while (!done) await fsh(["ls", server.url]);
  const { code, err } = await put;
  assertEquals(code, 0, err);
});

Deno.test("a read-only server removes nothing, old part files included", async () => {
  await using server = await ServerProcess.start({ args: ["--read-only"] });
  const part = `${server.folder}/.fsh-part-0123456789abcdef`;
  await Deno.writeFile(part, new Uint8Array());
  await Deno.utime(part, 1_000_000_000, 1_000_000_000);
  assertEquals((await fsh(["ls", server.url])).out, "");
  assertEquals(names(server.folder), [".fsh-part-0123456789abcdef"]);
});

Deno.test("mkdir -p in a served folder that is gone ends, with an error", async () => {
  await using server = await ServerProcess.start();
  await Deno.remove(server.folder);
  const { code, err } = await fsh(["mkdir", "-p", `${server.url}a/b`]);
  assertEquals(code, 5, err);
  await Deno.mkdir(server.folder);
});

Deno.test({
  name: "a log that can't be written takes nothing down",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    const command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", FSH];
    await using server = await ServerProcess.start({ folder, command });
    for (let i = 0; i < 3; i++) assertEquals((await fsh(["ls", server.url])).code, 0);
  },
});

Deno.test("Ctrl-C ends a put whose input is silent, and so does the loss of the server", async () => {
  await using server = await ServerProcess.start();
  for (const [blow, status] of [["client", 130], ["server", 3]] as const) {
    let hush = () => {};
    const silence = new ReadableStream<Uint8Array>({ start: (controller) => hush = () => controller.close() });
    const client = spawnFsh(["put", "-q", "-", `${server.url}silent`], { stdin: silence });
    await eventually("the put to begin", 5000, () => names(server.folder).length > 0);
    if (blow === "client") client.kill("SIGINT");
    else server.child.kill("SIGKILL");
    const begun = performance.now();
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr), toText(client.stdout)]);
    hush();
    assertEquals(code, status, err);
    assertLessOrEqual(performance.now() - begun, 3000);
    if (blow === "client") await eventually("the part file to go", 5000, () => names(server.folder).length === 0);
  }
});

Deno.test("Ctrl-C ends a get whose output is not read, also when all has arrived", async () => {
  await using server = await ServerProcess.start();
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array(3_000_000));
  const client = spawnFsh(["get", "-q", `${server.url}file`, "-"]);
  await server.logged(/session opened/);
  await new Promise((resolve) => setTimeout(resolve, 500));
  client.kill("SIGINT");
  const late = () => new Error("it went on");
  const status = await withDeadline(client.status, 4000, late).catch(() => null);
  if (status === null) client.kill("SIGKILL");
  await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
  assertEquals(status?.code, 130);
});

Deno.test("a refusal for too many sessions says so", async () => {
  await using server = await ServerProcess.start({ args: ["--max-sessions", "1"] });
  const first = spawnFsh(["ping", "-i", "60s", server.url]);
  await server.logged(/session opened/);
  const { code, err } = await fsh(["ls", server.url]);
  assertEquals(code, 3);
  assertStringIncludes(err, "too many sessions");
  first.kill("SIGINT");
  await Promise.all([first.status, toText(first.stdout), toText(first.stderr)]);
});

Deno.test("two operands of one name are refused before one overwrites the other", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  for (const folder of ["a", "b"]) {
    await Deno.mkdir(`${local.path}/${folder}`);
    await Deno.writeTextFile(`${local.path}/${folder}/same`, folder);
  }
  const { code, err } = await fsh(["put", `${local.path}/a/same`, `${local.path}/b/same`, server.url]);
  assertEquals(code, 2);
  assertStringIncludes(err, "same");
  assertEquals(names(server.folder), []);
});

Deno.test("failures of this side name the local path", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.writeTextFile(`${server.folder}/x`, "x");
  await Deno.writeTextFile(`${local.path}/file`, "");
  const below = await fsh(["get", `${server.url}x`, `${local.path}/file/x`]);
  assertEquals(below.code, 1, below.err);
  assertStringIncludes(below.err, `${local.path}/file/x`);
  const full = await fsh(["get", `${server.url}x`, "/dev/full"]);
  assertEquals(full.code, 1);
  assertStringIncludes(full.err, "/dev/full: no space left");
  const missing = await fsh(["get", `${server.url}missing`, `${local.path}/new/`]);
  assertEquals(missing.code, 5);
  assertEquals(names(local.path), ["file"]);
});

Deno.test("a file that says it is empty and is not goes whole", async () => {
  await using server = await ServerProcess.start();
  assertEquals((await fsh(["put", "/proc/self/limits", `${server.url}limits`])).code, 0);
  assert((await Deno.stat(`${server.folder}/limits`)).size > 0);
});

Deno.test("a slow link is not a dead one, in either direction", async () => {
  await using server = await ServerProcess.start({ args: ["--heartbeat", "500ms", "--heartbeat-misses", "2"] });
  await using proxy = new Proxy(server.port, { rate: 500_000 });
  await using local = await scratch();
  await Deno.writeFile(`${local.path}/file`, new Uint8Array(4_000_000));
  const [put, other] = await Promise.all([
    fsh(["put", `${local.path}/file`, proxy.url]),
    fsh(["put", `${local.path}/file`, `${server.url}there`]),
  ]);
  assertEquals(put.code, 0, put.err);
  assertEquals(other.code, 0, other.err);
  const got = await fsh(["get", `${proxy.url}there`, `${local.path}/back`]);
  assertEquals(got.code, 0, got.err);
});
