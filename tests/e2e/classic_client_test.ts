import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { encodeUtf8, equalBytes } from "../../lib/base/bytes.ts";
import { nameField, sizeField } from "../support/classic_peer.ts";
import { type Answer, ScriptedServer, serveClassic } from "../support/classic_server.ts";
import { fill } from "../support/folders.ts";
import { fsh, names, type Outcome, scratch } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";

const COUNT = (count: number) => new Uint8Array(new Uint32Array([count]).buffer);
const PONG = Uint8Array.of(4);

Deno.test("ls, get, put and ping of classic://, between fsh and fsh", async () => {
  await using served = await serveClassic();
  await using local = await scratch();
  const { url, server } = served;
  const large = new Random(3).bytes(3_000_000);
  await fill(server.folder, { "a.txt": "content", "empty": "", "odd ü\u202e": "odd", "large": large, "sub/x": "x" });
  await fill(local.path, { "new": "new", "none": "", "large": large });
  const run = (...args: string[]) => fsh(args, { cwd: local.path });
  const names_ = "a.txt\nempty\nlarge\nodd ü\u202e\n";
  assertEquals((await run("ls", url)).out, names_);
  assertEquals((await run("ls", "-l", `${url}a.txt`)).out, "-?????????             7 -                   a.txt\n");
  const [json] = (await run("ls", "--json", url)).out.split("\n");
  assertEquals(JSON.parse(json ?? ""), { name: "a.txt", type: "file", size: null, modified: null, mode: null });
  const got = await run("get", `${url}a.txt`, `${url}large`, "got/");
  assertEquals(got.code, 0, got.err);
  assertStringIncludes(got.err, "sizes agree, nothing else compared");
  assert(equalBytes(Deno.readFileSync(`${local.path}/got/large`), large));
  assertEquals((await run("get", `${url}*.txt`, "-")).out, "content");
  const again = await run("get", `${url}a.txt`, "got/");
  assertEquals([again.code, again.err.includes("--force")], [1, true]);
  assertEquals((await run("get", "--force", `${url}a.txt`, "got/")).code, 0);
  for (const missing of ["empty", "nothing"]) {
    const { code, err } = await run("get", url + missing);
    assertEquals(code, 5, err);
    assertStringIncludes(err, "or empty");
  }
  const put = await run("put", "new", "none", "large", url);
  assertEquals(put.code, 0, put.err);
  assertEquals(Deno.readTextFileSync(`${server.folder}/new`), "new");
  assertEquals(Deno.statSync(`${server.folder}/none`).size, 0);
  assert(equalBytes(Deno.readFileSync(`${server.folder}/large`), large));
  const stdin = await fsh(["put", "-", `${url}in`], { stdin: encodeUtf8("standard input") });
  assertEquals([stdin.code, Deno.readTextFileSync(`${server.folder}/in`)], [0, "standard input"]);
  assertMatch((await run("ping", "-c", "1", url)).out, /1 received, 0% lost/);
  assertEquals(names(local.path), ["got", "large", "new", "none"]);
});

Deno.test("what the classic protocol can't do is said, with exit status 2, before anything happens", async () => {
  await using served = await serveClassic();
  await using local = await scratch();
  const { url, server } = served;
  await fill(server.folder, { "a": "a" });
  await fill(local.path, { "b": "b" });
  const cases: readonly string[][] = [
    ...["stat", "rm"].map((command) => [command, `${url}a`]),
    ["mv", `${url}a`, `${url}c`],
    ["get", "-r", url],
    ["get", "--resume", `${url}a`],
    ["get", "--checksum", "sha256", `${url}a`],
    ["get", `${url}sub/a`],
    ["put", "--no-replace", "b", `${url}a`],
    ["put", "b", `${url}sub/b`],
    ["put", "b", url.replace("//", "//somebody@")],
    ["ls", "-R", url],
  ];
  for (const args of cases) {
    const { code, err } = await fsh(args, { cwd: local.path });
    assertEquals(code, 2, `${args.join(" ")}: ${err}`);
    assertStringIncludes(err, "the classic protocol has no way to do this");
  }
  const noPort = await fsh(["ls", "classic://127.0.0.1/"]);
  assertEquals([noPort.code, noPort.err.includes("the port is missing")], [2, true]);
  const endless = await fsh(["put", "-", `${url}in`], { stdin: new Uint8Array(2_000_000) });
  assertEquals([endless.code, endless.err.includes("the size comes first")], [2, true], endless.err);
  assertEquals(names(server.folder), ["a"]);
  assertEquals(names(local.path), ["b"]);
});

Deno.test("a put that is refused is no success, also where a file of that size is there already", async () => {
  await using served = await serveClassic(["--read-only"]);
  await using local = await scratch();
  await fill(served.server.folder, { "a": "old" });
  await fill(local.path, { "a": "new" });
  const { code, err } = await fsh(["put", "--retries", "0", `${local.path}/a`, served.url]);
  assertEquals(code, 1, err);
  assertStringIncludes(err, "its only way to refuse");
  assertEquals(Deno.readTextFileSync(`${served.server.folder}/a`), "old");
});

Deno.test("the two protocols meet: each side says what is wrong", async () => {
  await using served = await serveClassic();
  const { url, server } = served;
  const strayed = await fsh(["get", "--retries", "0", `${server.url.replace(`${SCHEME}:`, "classic:")}a`, "-"]);
  assertEquals(strayed.code, 3, strayed.err);
  // By TCP there is TLS beside QUIC, whose alert is shorter than a size.
  const says = quicEnds ? "7 of 8 bytes of a size came" : "does not speak the classic protocol";
  assertStringIncludes(strayed.err, says);
  const other = await fsh(["ls", url.replace("classic:", `${SCHEME}:`)]);
  assertEquals(other.code, 3, other.err);
  assertStringIncludes((await fsh(["ls", "classic://127.0.0.1:1/"])).err, "connection refused");
});

interface Hostile {
  readonly name: string;
  readonly answer: Answer;
  readonly args: (url: string) => string[];
  readonly exit: number;
  readonly says: RegExp;
  /** In the local folder afterwards. */
  readonly leaves?: readonly string[];
}

const TEN = encodeUtf8("0123456789");
const get = (url: string) => ["get", "--retries", "0", `${url}file`];
const put = (url: string) => ["put", "--retries", "0", "own", `${url}file`];
const ls = (url: string) => ["ls", url];

/** Answers GETs so, PINGs rightly, and forgets puts. */
function answering(...file: Uint8Array[]): Answer {
  return (command) => command === 2 ? file : command === 4 ? [PONG] : command === 1 ? [COUNT(0)] : [];
}

/** As `answering`, and hangs up behind a file. */
function thenClosing(...file: Uint8Array[]): Answer {
  let asked = false;
  return (command) => {
    if (asked || command !== 2) return null;
    asked = true;
    return file;
  };
}

const CASES: readonly Hostile[] = [
  {
    name: "announces more than it sends, and hangs up",
    answer: (() => {
      const script = thenClosing(sizeField(20), TEN);
      return (command, name, content) => command === 4 ? null : script(command, name, content);
    })(),
    // The PING never comes: only a deadline ends it.
    args: (url) => [...get(url), "--stall-timeout", "1s"],
    exit: 3,
    says: /stalled/,
  },
  { name: "sends more than it announces", answer: answering(sizeField(7), TEN), args: get, exit: 6, says: /sent more/ },
  {
    name: "sends much more than it announces",
    answer: answering(sizeField(7), new Uint8Array(100_000)),
    args: get,
    exit: 6,
    says: /sent more/,
  },
  {
    name: "announces what no disk holds",
    answer: answering(sizeField(2n ** 64n - 1n), TEN),
    args: get,
    exit: 3,
    says: /does not speak the classic protocol/,
  },
  { name: "hangs up at once", answer: () => null, args: get, exit: 3, says: /of a size came/ },
  {
    name: "hangs up behind each whole file",
    answer: thenClosing(sizeField(10), TEN),
    args: get,
    exit: 0,
    says: /got 1 file/,
    leaves: ["file", "own"],
  },
  {
    name: "says nothing",
    answer: () => [],
    args: (url) => [...ls(url), "--stall-timeout", "1s"],
    exit: 3,
    says: /stalled/,
  },
  {
    name: "lists names without an end",
    answer: () => [COUNT(1), new Uint8Array(256).fill(65)],
    args: ls,
    exit: 3,
    says: /a name without an end/,
  },
  {
    name: "lists fewer names than it says",
    answer: () => [COUNT(4_000_000_000), nameField("a")],
    args: (url) => [...ls(url), "--stall-timeout", "1s"],
    exit: 3,
    says: /stalled/,
  },
  {
    name: "lists more names than wanted",
    answer: () => [COUNT(300), new Uint8Array(300 * 256).fill(0)],
    args: (url) => [...ls(url), "--max-names", "256"],
    exit: 1,
    says: /does not end/,
  },
  {
    name: "lists names that lead out",
    answer: () => [COUNT(4), nameField("../x"), nameField(".."), nameField(Uint8Array.of(0xff)), nameField("good")],
    args: ls,
    exit: 7,
    says: /3 names left out/,
  },
  { name: "forgets what is put", answer: answering(sizeField(0)), args: put, exit: 1, says: /it has no such file/ },
  {
    name: "stores a part of what is put",
    answer: answering(sizeField(2), TEN.subarray(0, 2)),
    args: put,
    exit: 6,
    says: /3 bytes were put, 2 are there/,
  },
  {
    name: "hangs up behind a put",
    answer: (command) => command === 3 ? null : [],
    args: put,
    exit: 1,
    says: /its only way to refuse/,
  },
  {
    name: "answers a PING with something else",
    answer: () => [Uint8Array.of(5)],
    args: put,
    exit: 3,
    says: /no answer to a PING/,
  },
];

Deno.test("a server that breaks the protocol leaves nothing behind, and is found out", async () => {
  await Promise.all(CASES.map(async ({ name, answer, args, exit, says, leaves = ["own"] }) => {
    await using local = await scratch();
    await fill(local.path, { "own": "own" });
    using server = new ScriptedServer(answer);
    const outcome: Outcome = await fsh(args(server.url), { cwd: local.path });
    assertEquals(outcome.code, exit, `${name}: ${outcome.err}`);
    assertMatch(outcome.err, says, name);
    assertEquals(names(local.path), leaves, name);
  }));
});

Deno.test("a get that breaks off is tried again from the beginning, as often as is asked for, and no more", async () => {
  await using local = await scratch();
  let gets = 0;
  const broken: Answer = (command) => {
    gets += command === 2 ? 1 : 0;
    return command === 2 ? [sizeField(1000), TEN] : null;
  };
  // Hanging up in mid-file is done by not answering the next: the server closes when its script ends.
  using server = new ScriptedServer((command, name, content) => {
    queueMicrotask(() => setTimeout(() => server.hangUp(), 50));
    return broken(command, name, content);
  });
  const { code, err } = await fsh(["get", "--retries", "2", `${server.url}file`], { cwd: local.path });
  assertEquals(code, 3, err);
  assertEquals(gets, 3);
  assertEquals(err.includes("--resume"), false);
  assertEquals(names(local.path), []);
});
