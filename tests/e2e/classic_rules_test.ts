import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { ClassicPeer, getCommand, LIST, nameField, PING, putCommand, sizeField } from "../support/classic_peer.ts";
import { serveClassic } from "../support/classic_server.ts";
import { fill } from "../support/folders.ts";
import { Outside, SECRET } from "../support/outside.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { Accounts, shipped } from "../support/shipped.ts";

/** Whether a put is refused: then the connection ends without a word, and nothing is left. */
async function isRefused(port: number, ...put: Uint8Array[]): Promise<boolean> {
  using peer = await ClassicPeer.connect(port);
  // The server may close before all is said.
  await peer.send(...put, PING).catch(() => {});
  return await peer.takePong().then(() => false, () => true);
}

async function get(port: number, name: string | Uint8Array): Promise<string | null> {
  using peer = await ClassicPeer.connect(port);
  await peer.send(getCommand(name));
  const content = await peer.takeFile();
  return content && new TextDecoder().decode(content);
}

async function list(port: number): Promise<string[]> {
  using peer = await ClassicPeer.connect(port);
  await peer.send(LIST);
  return await peer.takeNames();
}

Deno.test({
  name: "hostile names reach nothing outside, and change nothing inside",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using outside = new Outside();
    const { served, parent } = outside;
    await fill(served, { "inside": "inside", "sub/file": "below" });
    Deno.symlinkSync("../marker", `${served}/out`);
    Deno.symlinkSync(`${parent}/private`, `${served}/away`);
    const hostile: (string | Uint8Array)[] = [
      ...["..", ".", "/", "../marker", "../../etc/passwd", "/etc/passwd", `${parent}/marker`, "sub/../../marker"],
      ...["sub/file", "./inside", "inside/", "sub//file", "", ".fsh-part-0", "out", "away", "away/inner", "sub"],
      ...["..\\marker", "%2e%2e/marker", "~root", "$HOME", "|id", "..\n/marker"],
      // No NUL at all; not UTF-8; overlong encodings of "../marker".
      new Uint8Array(256).fill(0x61),
      new Uint8Array(256).fill(0x2f),
      Uint8Array.of(0xff, 0xfe),
      Uint8Array.of(0xc0, 0xae, 0xc0, 0xae, 0xc0, 0xaf, 0x6d),
    ];
    await using served2 = await serveClassic([], { folder: served });
    const { port, server } = served2;
    for (const name of hostile) assertEquals(await get(port, name), null, String(name));
    // Behind its NUL a name has ended, whatever stands there.
    assertEquals(await get(port, "inside\0/../../marker"), "inside");
    const before = names(served);
    const strange = ["..\\marker", "~root", "$HOME", "|id"];
    for (const name of hostile) {
      const isOrdinary = typeof name === "string" && (strange.includes(name) || name === "out" || name === "away");
      if (isOrdinary) continue;
      assert(await isRefused(port, putCommand(name, encodeUtf8("hostile"))), String(name));
    }
    assertEquals(names(served), before);
    // Names that are only odd are ordinary ones; a link that leads out is not followed.
    for (const name of strange) assertEquals(await isRefused(port, putCommand(name, encodeUtf8("odd"))), false, name);
    for (const name of ["out", "away"]) {
      await isRefused(port, putCommand(name, encodeUtf8("hostile")));
    }
    assertEquals((await list(port)).filter((name) => before.includes(name) && name !== "inside"), [
      ...(Deno.lstatSync(`${served}/away`).isFile ? ["away"] : []),
      ...(Deno.lstatSync(`${served}/out`).isFile ? ["out"] : []),
    ]);
    assertEquals(Deno.readTextFileSync(`${served}/sub/file`), "below");
    assertEquals(server.log.includes(SECRET), false);
    outside.assertUntouched();
  },
});

Deno.test("plugins decide, limits hold, and the access log has what happened", async () => {
  await using own = await scratch();
  await Deno.writeTextFile(
    `${own.path}/scan.js`,
    `export default { name: "scan", hooks: {
       content: ({ chunk }) => chunk.indexOf(86) >= 0 ? { allow: false } : undefined } };`,
  );
  await using served = await serveClassic([
    ...shipped({
      "path-filter": { hide: "*.hidden", deny: "*.key" },
      "access-log": { file: `${own.path}/log` },
      "quota": { file: `${own.path}/usage.json`, bytes: "100K" },
    }),
    ...["--plugin", `${own.path}/scan.js`, "--max-put", "60K", "--metrics", "0"],
  ]);
  const { server, port } = served;
  await fill(server.folder, { "a": "a", "b.hidden": "b", "c.key": "c" });
  assertEquals(await list(port), ["a", "c.key"]);
  assertEquals([await get(port, "a"), await get(port, "b.hidden"), await get(port, "c.key")], ["a", null, null]);
  const put = (name: string, content: Uint8Array) => isRefused(port, putCommand(name, content));
  assert(await put("too-large", new Uint8Array(70_000)));
  assertEquals(await put("good", new Uint8Array(50_000)), false, server.log);
  const refused = {
    "b.hidden": encodeUtf8("changed"),
    "c.key": encodeUtf8("changed"),
    "over-quota": new Uint8Array(55_000),
    "virus": encodeUtf8("a VIRUS in it"),
  };
  for (const [name, content] of Object.entries(refused)) assert(await put(name, content), name);
  // Sizes that nobody could ever send.
  for (const size of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 40n]) {
    assert(await isRefused(port, Uint8Array.of(3), nameField("huge"), sizeField(size)), String(size));
  }
  assertEquals(names(server.folder), ["a", "b.hidden", "c.key", "good"]);
  assertEquals(Deno.readTextFileSync(`${server.folder}/c.key`), "c");
  const log = await eventually("the access log", 5000, () => {
    const text = Deno.readTextFileSync(`${own.path}/log`);
    return text.includes("/virus") ? text : null;
  });
  // What is refused for its name alone is told of as well.
  assert(await put("../out", encodeUtf8("hostile")));
  await eventually("the refused name", 5000, () => /PATH_REJECTED/.test(Deno.readTextFileSync(`${own.path}/log`)));
  for (const part of ["/good", "/c.key", "/too-large", "/over-quota"]) assertStringIncludes(log, part);
  const page = await (await fetch((await server.logged(/http:\/\/\S+\/metrics/)).trim())).text();
  assertMatch(page, /fsh_requests_total\{command="PUT",outcome="ok"\} 1\n/);
  assertMatch(page, /fsh_requests_total\{command="PUT",outcome="PUT_TOO_LARGE"\} 4\n/);
  assertMatch(page, /fsh_requests_total\{command="GET",outcome="NOT_PERMITTED"\} 1\n/);
  assertMatch(page, /fsh_limit_hits_total\{limit="max-put"\} 4\n/);
});

Deno.test("where accounts are wanted nobody gets in, unless a plugin lets strangers in, as somebody", async () => {
  await using own = await scratch();
  const accounts = new Accounts(own.path);
  await accounts.key("somebody");
  {
    await using served = await serveClassic(shipped({ "auth-users": { file: accounts.users } }));
    using peer = await ClassicPeer.connect(served.port);
    await peer.send(LIST).catch(() => {});
    assert(await peer.isClosed());
    await served.server.logged(/AUTH_FAILED/);
  }
  await Deno.writeTextFile(
    `${own.path}/guests.js`,
    `export default { name: "guests", methods: ["anonymous"], hooks: {
       authenticate: () => ({ user: { name: "guest", home: "/public", access: "read" } }) } };`,
  );
  await using served = await serveClassic(["--plugin", `${own.path}/guests.js`]);
  await fill(served.server.folder, { "private": "private", "public/file": "public" });
  assertEquals(await list(served.port), ["file"]);
  assertEquals([await get(served.port, "file"), await get(served.port, "private")], ["public", null]);
  assert(await isRefused(served.port, putCommand("file", encodeUtf8("changed"))));
  assertEquals(Deno.readTextFileSync(`${served.server.folder}/public/file`), "public");
});

Deno.test("--max-sessions, --read-only and --limit-rate hold for the classic protocol as well", async () => {
  await using served = await serveClassic(["--max-sessions", "1", "--read-only", "--limit-rate", "1M"]);
  const { port, server } = served;
  Deno.writeFileSync(`${server.folder}/file`, new Uint8Array(1_000_000));
  {
    using first = await ClassicPeer.connect(port);
    await first.send(PING);
    await first.takePong();
    using second = await ClassicPeer.connect(port);
    assert(await second.isClosed());
    assertEquals((await fsh(["ls", server.url])).code, 3, "both protocols count together");
    const begun = performance.now();
    await first.send(getCommand("file"));
    assertEquals((await first.takeFile())?.length, 1_000_000);
    assertGreaterOrEqual(performance.now() - begun, 700);
    await first.send(putCommand("file", new Uint8Array(10)));
    assert(await first.isClosed());
  }
  assertEquals(Deno.statSync(`${server.folder}/file`).size, 1_000_000);
});

Deno.test("other machines are served with --insecure only, whatever the other port does", async () => {
  await using folder = await scratch();
  for (const args of [["--classic", "0.0.0.0:0"], ["--classic", "[::]:0"]]) {
    const { code, out, err } = await fsh(["serve", folder.path, "--port", "0", ...args]);
    assertEquals([code, out], [2, ""], err);
    assertStringIncludes(err, "--insecure");
  }
  const mutual = await fsh(["serve", folder.path, "--port", "0", "--classic", "0", "--mutual", "/dev/null"]);
  assertEquals([mutual.code, mutual.out], [2, ""], mutual.err);
  await using server = await ServerProcess.start({ args: ["--classic", "0.0.0.0:0", "--insecure"] });
  await server.logged(/warn --insecure: other machines may use the classic protocol/);
});

Deno.test({
  name: "on a full disk a put is refused, what was there stays, and the next one that fits goes through",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    const folder = `${disk.path}/served`;
    await fill(folder, { "file": "before" });
    await using served = await serveClassic([], { folder });
    assert(await isRefused(served.port, putCommand("file", new Uint8Array(8_000_000))));
    assertEquals(names(folder), ["file"]);
    assertEquals(await get(served.port, "file"), "before");
    assertEquals(await isRefused(served.port, putCommand("file", encodeUtf8("after"))), false);
    assertEquals(await get(served.port, "file"), "after");
  },
});

Deno.test("garbage is survived: nothing is left of it, and others are served", async () => {
  await using served = await serveClassic(["--handshake-timeout", "1s"]);
  const { port, server } = served;
  const random = new Random(4);
  await Promise.all(Array.from({ length: 100 }, async () => {
    using peer = await ClassicPeer.connect(port);
    // Begins with any command, or none; a put of a name that nobody can have.
    const bytes = random.bytes(1 + random.below(2000));
    bytes[0] = random.below(8);
    await peer.send(bytes).catch(() => {});
    await peer.conn.closeWrite().catch(() => {});
    await peer.takeEnd();
  }));
  assertEquals(names(server.folder).filter((name) => name.startsWith(".fsh-part-")), []);
  assertEquals(await list(port), names(server.folder));
});

Deno.test("one connection that waits is no burden for many others", async () => {
  await using served = await serveClassic(["--handshake-timeout", "10s"]);
  const { port, server } = served;
  Deno.writeTextFileSync(`${server.folder}/file`, "content");
  const peers = await Promise.all(Array.from({ length: 100 }, () => ClassicPeer.connect(port)));
  try {
    await Promise.all(peers.map(async (peer, at) => {
      if (at % 2 === 0) return await peer.send(getCommand("file").subarray(0, 1 + at));
      await peer.send(getCommand("file"), PING);
      assertEquals((await peer.takeFile())?.length, 7);
      await peer.takePong();
    }));
  } finally {
    for (const peer of peers) peer.close();
  }
  assertEquals(await get(port, "file"), "content");
});
