import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { eventually, FSH, fsh, names, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { quicEnds } from "../support/scheme.ts";
import { TwoHosts } from "../support/namespaces.ts";

const METRICS = ["--metrics", "0"];
/** A killed client's system says so by TCP; by QUIC it falls silent. */
const NOTICING = quicEnds ? ["--heartbeat", "1s"] : [];

/** The value of one line of /metrics; 0 where it is not there. */
async function metric(server: ServerProcess, line: string): Promise<number> {
  const url = (await server.logged(/http:\/\/\S+\/metrics/)).trim();
  const text = await (await fetch(url)).text();
  const found = text.split("\n").find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

const hits = (server: ServerProcess, option: string) => metric(server, `fsh_limit_hits_total{limit="${option}"}`);

/** Holds sessions open until it is let go. */
function holding(url: string): AsyncDisposable {
  const child = spawnFsh(["ping", "-i", "60s", url]);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, toText(child.stdout), toText(child.stderr)]);
    },
  };
}

for (
  const [option, value, words] of [
    ["max-sessions", "1", /too many sessions \(at most 1; try again later\)/],
    ["max-per-address", "1", /too many sessions from this address \(at most 1; try again later\)/],
  ] as const
) {
  Deno.test(`--${option}: one more is told what to do, with exit status 3, and may come when the first has gone`, async () => {
    await using server = await ServerProcess.start({ args: [`--${option}`, value, ...METRICS, ...NOTICING] });
    await using local = await scratch();
    {
      await using _first = holding(server.url);
      await server.logged(/session opened/);
      const { code, err } = await fsh(["ls", server.url]);
      assertEquals(code, 3, err);
      assertMatch(err, words);
      assertEquals([await hits(server, option), await metric(server, "fsh_sessions")], [1, 1]);
      await server.logged(/warn connection refused remote=127\.0\.0\.1:\d+ secure=true error=TOO_MANY/);
    }
    await eventually("it to have gone", 15_000, async () => await metric(server, "fsh_sessions") === 0);
    assertEquals((await fsh(["ls", server.url], { cwd: local.path })).code, 0);
  });
}

Deno.test("--max-startups: who says nothing keeps others out only until its handshake's deadline", async () => {
  const args = ["--max-startups", "1:100:1", "--handshake-timeout", "2s", ...METRICS];
  await using server = await ServerProcess.start({ args });
  const silent = await (quicEnds?.dial(server.port) ?? Deno.connect({ hostname: "127.0.0.1", port: server.port }));
  await eventually("it to be taken", 5000, () => metric(server, "fsh_sessions_unauthenticated"));
  const { code, err } = await fsh(["ls", server.url]);
  assertEquals(code, 3, err);
  assertStringIncludes(err, "too many clients are coming in at once (try again in a moment)");
  await eventually("its deadline", 10_000, async () => await metric(server, "fsh_sessions_unauthenticated") === 0);
  assertEquals((await fsh(["ls", server.url])).code, 0);
  assertEquals([await hits(server, "max-startups"), await hits(server, "handshake-timeout")], [1, 1]);
  silent.close();
  await quicEnds?.settled();
});

Deno.test("--max-put, --max-listing: the client says which file, what the limit is, and nothing is left", async () => {
  await using server = await ServerProcess.start({ args: ["--max-put", "100K", "--max-listing", "2", ...METRICS] });
  await using local = await scratch();
  await Deno.writeFile(`${local.path}/large`, new Uint8Array(102_401));
  await Deno.writeFile(`${local.path}/fits`, new Uint8Array(102_400));
  const words = /\/large: the file is larger than the server takes \(at most 102400 bytes\)/;
  for (const args of [["put"], ["put", "--resume"]]) {
    const { code, err } = await fsh([...args, `${local.path}/large`, server.url]);
    assertEquals(code, 1, err);
    assertMatch(err, words);
  }
  const piped = await fsh(["put", "-", `${server.url}large`], { stdin: new Uint8Array(5_000_000) });
  assertEquals(piped.code, 1, piped.err);
  assertMatch(piped.err, words);
  assertEquals(names(server.folder), []);
  // Of a tree the others come.
  const tree = await fsh(["put", "-r", local.path, `${server.url}tree`]);
  assertEquals(tree.code, 7, tree.err);
  assertMatch(tree.err, /large: the file is larger/);
  assertEquals(names(`${server.folder}/tree`), ["fits"]);
  assertEquals((await fsh(["ls", `${server.url}tree`])).code, 0);
  await Deno.writeFile(`${server.folder}/a`, new Uint8Array());
  await Deno.writeFile(`${server.folder}/b`, new Uint8Array());
  const listing = await fsh(["ls", server.url]);
  assertEquals(listing.code, 1, listing.err);
  assertMatch(listing.err, /the listing is longer than the server gives \(at most 2 entries\)/);
  assertEquals([await hits(server, "max-put"), await hits(server, "max-listing")], [4, 1]);
});

Deno.test({
  name: "--keep-free: a disk of one megabyte keeps half of it, whether the size is announced or not",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    await using local = await scratch();
    await using server = await ServerProcess.start({ folder: disk.path, args: ["--keep-free", "512K", ...METRICS] });
    await Deno.writeFile(`${local.path}/large`, new Uint8Array(600_000));
    const before = disk.free();
    const announced = await fsh(["put", `${local.path}/large`, server.url]);
    const piped = await fsh(["put", "-", `${server.url}large`], { stdin: new Uint8Array(600_000) });
    for (const { code, err } of [announced, piped]) {
      assertEquals(code, 1, err);
      assertMatch(err, /\/large: the server keeps the rest of its disk free \(\d+ bytes are left for files/);
    }
    assertEquals([names(disk.path), disk.free()], [[], before]);
    const fitting = await fsh(["put", "-", `${server.url}fits`], { stdin: new Uint8Array(300_000) });
    assertEquals(fitting.code, 0, fitting.err);
    assertEquals(await hits(server, "keep-free"), 2);
  },
});

Deno.test("--max-open-files: who waits too long is told, and the metrics say how many are open", async () => {
  await using server = await ServerProcess.start({ args: ["--max-open-files", "1", ...METRICS] });
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array(10));
  const gate = Promise.withResolvers<void>();
  const stdin = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await gate.promise;
      controller.close();
    },
  });
  const held = spawnFsh(["put", "-q", "-", `${server.url}held`], { stdin });
  await eventually("its file to be open", 5000, () => metric(server, "fsh_open_files"));
  const { code, err } = await fsh(["hash", `${server.url}file`]);
  assertEquals(code, 1, err);
  assertMatch(err, /\/file: too many open files \(at most 1 at once; try again later\)/);
  gate.resolve();
  const [status, trouble] = await Promise.all([held.status, toText(held.stderr), toText(held.stdout)]);
  assertEquals(status.code, 0, trouble);
  assertEquals((await fsh(["hash", `${server.url}file`])).code, 0);
});

Deno.test("--max-log-lines: a peer that fails again and again does not fill the log; stats say it all at the end", async () => {
  await using server = await ServerProcess.start({ args: ["--max-log-lines", "5"] });
  for (let i = 0; i < 3; i++) assertEquals((await fsh(["stat", `${server.url}missing`])).code, 5);
  assertEquals(await server.stop(), 0);
  assertEquals(server.log.match(/remote=/g)?.length, 5);
  assertMatch(server.log, /warn log lines left out address=127\.0\.0\.1 lines=4 limit=5/);
  assertMatch(server.log, /info stats sessions=3 requests=3 failed=3 received=\d+ sent=\d+ .*linesSuppressed=4/);
});

Deno.test("--metrics: on loopback unless told otherwise, /metrics only, and a port that is taken is named", async () => {
  await using server = await ServerProcess.start({ args: METRICS });
  const url = (await server.logged(/http:\/\/\S+\/metrics/)).trim();
  assertMatch(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  const { port } = new URL(url);
  for (
    const [path, method, status] of [["/metrics", "GET", 200], ["/metrics", "POST", 405], ["/", "GET", 404]] as const
  ) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    await response.body?.cancel();
    assertEquals(response.status, status, path);
  }
  const { code, err } = await fsh(["serve", server.folder, "--port", "0", "--metrics", port]);
  assertEquals(code, 1, err);
  assertMatch(
    err,
    new RegExp(
      `127\\.0\\.0\\.1:${port}: address already in use \\(stop the other program, or give --metrics another port\\)`,
    ),
  );
  for (const value of ["x", "127.0.0.1", "70000", ":"]) {
    assertEquals((await fsh(["serve", server.folder, "--metrics", value])).code, 2, value);
  }
  assertEquals((await fsh(["serve", server.folder, "--max-startups", "10:30"])).code, 2);
});

Deno.test({
  name:
    "by default one address of another machine may have a thousand sessions and no more, this machine as many as it likes",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    const { serverAddress } = hosts;
    await using server = await ServerProcess.start({
      args: ["--host", serverAddress, "--insecure", "--max-startups", "off"],
      command: [...hosts.onServer, FSH],
    });
    const script = `
      const all = [];
      for (let i = 0; i < 1005; i++) all.push(await Deno.connect({ hostname: "${serverAddress}", port: ${server.port} }));
      await new Promise((resolve) => setTimeout(resolve, 500));`;
    const [program = "", ...before] = hosts.onClient;
    const { success } = await new Deno.Command(program, {
      args: [...before, Deno.execPath(), "eval", script],
      stdout: "null",
      stderr: "inherit",
    }).output();
    assert(success);
    await server.logged(/connection refused remote=10\.207\.0\.2:\d+ secure=false error=TOO_MANY_FROM_ADDRESS/);
    const refused = () => server.log.match(/TOO_MANY_FROM_ADDRESS/g)?.length ?? 0;
    await eventually("all of them to be refused", 10_000, () => refused() >= 5);
    assertEquals(refused(), 5);
  },
});
