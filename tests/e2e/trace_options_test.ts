// --trace and --pcap of the compiled executable: what is in the files, what is not, and what never happens to transfers.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { equalBytes } from "../../lib/base/bytes.ts";
import { fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { pattern } from "../support/stored_files.ts";
import { TestUser } from "../support/tls_programs.ts";
import { dissect, hasTshark } from "../support/tshark.ts";

/** Whether the bytes of a file hold the text. */
async function holds(file: string, text: string): Promise<boolean> {
  return new TextDecoder("latin1").decode(await Deno.readFile(file)).includes(text);
}

async function lines(args: readonly string[]): Promise<string[]> {
  const { code, out, err } = await fsh(["trace", ...args]);
  assertEquals([code, err], [0, ""], args.join(" "));
  return out.trim().split("\n");
}

Deno.test("a token that crosses the wire is in no file of either side, with content of files or without", async () => {
  await using local = await scratch();
  const at = (name: string) => join(local.path, name);
  const token = (await fsh(["token", "add", at("tokens"), "one", "--access", "write"])).out.trim();
  await Deno.writeTextFile(at("note"), "content of the note");
  for (const payload of [[], ["--trace-payload"], ["--trace-payload=7"]]) {
    const files = (side: string) => ["--trace", at(`${side}.trace`), "--pcap", at(`${side}.pcap`), ...payload];
    await using server = await ServerProcess.start({
      args: ["--plugin", "auth-token", "--plugin-option", `auth-token.file=${at("tokens")}`, ...files("server")],
    });
    const put = await fsh(["put", ...files("client"), at("note"), server.url], { env: { FSH_TOKEN: token } });
    assertEquals(put.code, 0, put.err);
    const { code, err } = await fsh(["ls", server.url], { env: { FSH_TOKEN: "guessed-wrong" } });
    assertEquals(code, 4, err);
    assertEquals(await server.stop(), 0);
    const content = payload[0] === undefined ? "" : payload[0].includes("=") ? "content" : "content of the note";
    for (const side of ["server", "client"]) {
      for (const kind of ["trace", "pcap"]) {
        const file = at(`${side}.${kind}`);
        assertEquals([await holds(file, token), await holds(file, "guessed-wrong")], [false, false], file);
        assertEquals(await holds(file, "content of the note"), content === "content of the note", file);
        assertEquals(await holds(file, "content"), content !== "", file);
        assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
      }
      const auth = await lines(["--frame", "AUTH", at(`${side}.trace`)]);
      assertStringIncludes(auth[0] ?? "", `method="token" user="" data=(${token.length} bytes, masked)`);
    }
  }
});

Deno.test("filters go together; --json says the same; --hex shows what was kept", async () => {
  await using local = await scratch();
  const trace = join(local.path, "trace");
  await using server = await ServerProcess.start({ args: ["--trace", trace, "--trace-payload"] });
  await Deno.writeTextFile(join(server.folder, "a\x1b[2J"), "the content");
  for (const args of [["ls", server.url], ["get", `${server.url}a%1b[2J`, join(local.path, "a")]]) {
    assertEquals((await fsh(args)).code, 0);
  }
  await server.stop();
  const all = await lines([trace]);
  assertMatch(all[0] ?? "", /^\d\d:\d\d:\d\d\.\d{6} c1 opened 127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+, seen by the server/);
  assertMatch(all.at(-1) ?? "", /c2 closed by the (client|server): \d+ bytes sent, \d+ received$/);
  const ofSecond = all.filter((line) => line.includes(" c2 "));
  assertEquals(await lines(["--session", "c2", trace]), ofSecond);
  // Its name in the server's log, which is the same here.
  assertEquals(await lines(["--session", "2", trace]), ofSecond);
  const get = all.filter((line) => / c2 > GET /.test(line));
  assertEquals(get.length, 1);
  assertStringIncludes(get[0] ?? "", `stream 1 length`);
  assertStringIncludes(get[0] ?? "", String.raw`path="/a\x1b[2J"`);
  assertEquals(await lines(["--stream", "1", "--frame", "get", "--session", "c2", trace]), get);
  assertEquals(await lines(["--stream", "1", "--frame", "GET", "--frame", "LIST", trace]).then((all) => all.length), 2);
  assertMatch(
    (await lines(["-x", "--frame", "DATA", trace])).join("\n"),
    /DATA stream 1 length 11[^]*74 68 65.* {2}the content/,
  );
  const json = (await lines(["--json", trace])).map((line) => JSON.parse(line));
  assertEquals(json.length, all.length);
  const data = json.find(({ frame }) => frame === "DATA");
  assertEquals([data.session, data.from, data.stream, data.length], ["c2", "server", 1, 11]);
  for (
    const [args, code, says] of [
      [["--session", "c9", trace], 0, ""],
      [["--session", "9", trace], 5, "no session of that name"],
      [["--frame", "NOPE", trace], 2, "it takes one of HELLO"],
      [[join(local.path, "a")], 1, "not a trace that fsh can read"],
      [[join(local.path, "missing")], 5, "not found"],
    ] as const
  ) {
    const { code: status, err } = await fsh(["trace", ...args]);
    assertEquals(status, code, err);
    assertStringIncludes(err, says);
  }
});

Deno.test("what makes no sense is refused before anything else happens", async () => {
  await using local = await scratch();
  const at = (name: string) => join(local.path, name);
  await Deno.writeTextFile(at("letter"), "dear");
  await Deno.mkdir(at("served"));
  for (
    const [args, code, says] of [
      [["ls", "--trace", at("letter"), "fsh://127.0.0.1:1/"], 1, "something else has that name"],
      [["ls", "--trace", at("no/a"), "fsh://127.0.0.1:1/"], 1, "no such folder"],
      [["ls", "--trace-payload", "fsh://127.0.0.1:1/"], 2, "it goes with --trace"],
      [["ls", "--trace", at("a"), "--pcap", at("a"), "fsh://127.0.0.1:1/"], 2, "another file"],
      [["ls", "--trace", at("a"), "--trace-payload=x", "fsh://127.0.0.1:1/"], 2, "--trace-payload x"],
      [["serve", "--port", "0", "--pcap", at("served/a"), at("served")], 2, "must not lie in the served folder"],
    ] as const
  ) {
    const { code: status, out, err } = await fsh(args);
    assertEquals([status, out], [code, ""], `${args.join(" ")}: ${err}`);
    assertStringIncludes(err, says);
  }
  assertEquals([names(local.path), names(at("served"))], [["letter", "served"], []]);
  assertEquals(await Deno.readTextFile(at("letter")), "dear");
});

Deno.test("a file that is full ends with a warning and a whole frame; the transfer goes on", async () => {
  await using local = await scratch();
  const at = (name: string) => join(local.path, name);
  const content = pattern(3_000_000);
  await using server = await ServerProcess.start();
  await Deno.writeFile(join(server.folder, "a"), content);
  const options = ["--trace", at("trace"), "--pcap", at("pcap"), "--trace-payload", "--trace-limit", "100K"];
  const { code, err } = await fsh(["get", ...options, `${server.url}a`, at("a")]);
  assertEquals(code, 0, err);
  assert(equalBytes(await Deno.readFile(at("a")), content));
  for (const kind of ["trace", "capture"]) {
    assertMatch(err, new RegExp(`fsh: ${kind} ends here: .*it is as large as --trace-limit allows\n`));
  }
  for (const name of ["trace", "pcap"]) assert((await Deno.stat(at(name))).size <= 100 * 1024);
  assertMatch((await lines([at("trace")])).join("\n"), /INFO stream 1/);
});

Deno.test({
  name: "a disk that is full ends a trace of the server, which logs it, and no transfer",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    await using local = await scratch();
    const content = pattern(3_000_000);
    const trace = join(disk.path, "trace");
    await using server = await ServerProcess.start({ args: ["--trace", trace, "--trace-payload"] });
    await Deno.writeFile(join(server.folder, "a"), content);
    for (const name of ["one", "two"]) {
      const { code, err } = await fsh(["get", `${server.url}a`, join(local.path, name)]);
      assertEquals(code, 0, err);
      assert(equalBytes(await Deno.readFile(join(local.path, name)), content));
    }
    assertMatch(server.log, /warn "?trace ends here: .*No space left on device/);
    assertEquals(await server.stop(), 0);
    assertMatch((await lines([trace])).join("\n"), /c1 < READY/);
  },
});

Deno.test({
  name: "what goes over TLS is in a capture in the clear",
  ignore: !hasTshark(),
  async fn() {
    await using user = await TestUser.make();
    await using local = await scratch();
    const pcap = join(local.path, "pcap");
    await using server = await user.serve();
    const { code, err } = await user.fsh(["ls", "--accept-new", "--pcap", pcap, server.url]);
    assertEquals(code, 0, err);
    const { frames, malformed, tcp } = await dissect(pcap);
    assertEquals([malformed, tcp], [[], []]);
    assertEquals(frames.map(({ type }) => type).filter((type) => type >= 0x10), [0x20, 0x12, 0x15]);
  },
});
