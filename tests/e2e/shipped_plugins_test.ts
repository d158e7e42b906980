import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { allNames, fill, filled } from "../support/folders.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { Accounts, as, NOTHING, shipped, urlOf } from "../support/shipped.ts";
import { isSigned, SECRET, WebhookReceiver } from "../support/webhook_receiver.ts";

function linesOf(file: string): string[] {
  try {
    return Deno.readTextFileSync(file).split("\n").filter((line) => line !== "");
  } catch {
    return [];
  }
}

Deno.test("path-filter: denied is listed and refused, hidden is not there, per user, and as the rules file says now", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const office = as(await accounts.key("office"));
  const guest = as(await accounts.key("guest"));
  const rules = `${folder.path}/rules`;
  await Deno.writeTextFile(rules, "[hide]\n/private/\n[deny]\n*.key\n[hide user office]\n!/private/\n");
  await using server = await ServerProcess.start({
    args: shipped({ "auth-users": { file: accounts.users }, "path-filter": { rules, hide: "*.tmp" } }),
    folder: await filled({
      "door.key": "key",
      "a.txt": "a",
      "b.tmp": "b",
      "private/deep/diary": "dear",
      "sub/x.key": "x",
    }),
  });
  const [asGuest, asOffice] = [urlOf(server, "guest"), urlOf(server, "office")];
  const sorted = (out: string) => out.split("\n").sort().join(" ").trim();
  assertEquals(sorted((await guest("ls", "-R", asGuest)).out), "a.txt door.key sub/ sub/x.key");
  assertEquals(
    sorted((await office("ls", "-R", asOffice)).out),
    "a.txt door.key private/ private/deep/ private/deep/diary sub/ sub/x.key",
  );
  const denied = await guest("get", `${asGuest}door.key`, "-");
  assertEquals([denied.code, denied.out], [4, ""]);
  assertMatch(denied.err, /\/door\.key: permission denied \(denied by the rule \*\.key \(line 4 of the rules\)\)/);
  const hidden = await guest("get", `${asGuest}private/deep/diary`, "-");
  const missing = await guest("get", `${asGuest}private/deep/nothing`, "-");
  assertEquals([hidden.code, hidden.err.replace("diary", "nothing")], [5, missing.err], "hidden is like missing");
  assertEquals((await office("get", `${asOffice}private/deep/diary`, "-")).out, "dear");
  const into = `${folder.path}/into`;
  await Deno.mkdir(into);
  const tree = await guest("get", "-r", asGuest, into);
  assertEquals([tree.code, allNames(into).map((name) => name.replace(/^[^/]*\.\d+\//, ""))], [7, ["a.txt"]], tree.err);
  assertStringIncludes(tree.err, "/door.key: permission denied (denied by the rule *.key (line 4 of the rules))");
  assertEquals((await guest("rm", "-r", `${asGuest}sub`)).code, 4, "with the denied in it");
  assertEquals((await guest("mv", `${asGuest}a.txt`, `${asGuest}a.key`)).code, 4);
  assertEquals((await guest("mv", `${asGuest}a.txt`, `${asGuest}c.tmp`)).code === 0, false);

  await Deno.writeTextFile(rules, "[deny]\n/a.txt\n");
  assertEquals((await guest("get", `${asGuest}private/deep/diary`, "-")).out, "dear");
  assertEquals((await guest("get", `${asGuest}door.key`, "-")).out, "key");
  assertEquals((await guest("get", `${asGuest}a.txt`, "-")).code, 4);
  await Deno.writeTextFile(rules, "[refuse]\n/door.key\n");
  assertEquals((await guest("get", `${asGuest}a.txt`, "-")).code, 4, "a file with a mistake changes nothing");
  assertEquals((await guest("get", `${asGuest}door.key`, "-")).out, "key");
  await server.logged(/error file not usable.*line 1: .*no such section/);
  await Deno.remove(rules);
  assertEquals((await guest("get", `${asGuest}a.txt`, "-")).code, 4, "nor does one that is gone");
  assertEquals(allNames(server.folder).sort(), ["a.txt", "b.tmp", "door.key", "private/deep/diary", "sub/x.key"]);
});

for (const format of ["common", "json"]) {
  Deno.test(`access-log, ${format}: a line for each get, put, refusal and failed login, rotated and none lost`, async () => {
    await using folder = await scratch();
    const accounts = new Accounts(folder.path);
    const key = await accounts.key("office");
    const log = `${folder.path}/access.log`;
    await using server = await ServerProcess.start({
      args: shipped({
        "auth-users": { file: accounts.users },
        "auth-token": { file: await accounts.token("bot").then(() => accounts.tokens) },
        "path-filter": { deny: "*.key" },
        "access-log": { file: log, format, "rotate-size": "1K", keep: "50" },
      }),
      folder: await filled({ 'odd "name".txt': "12345", "door.key": "key" }),
    });
    const url = urlOf(server, "office");
    const office = as(key);
    assertEquals((await office("get", `${url}odd "name".txt`, "-")).out, "12345");
    const put = await fsh(["put", "-", `${url}new.txt`], { env: key, stdin: new Uint8Array(77) });
    assertEquals(put.code, 0, put.err);
    assertEquals((await office("get", `${url}door.key`, "-")).code, 4);
    assertEquals((await office("get", `${url}none`, "-")).code, 5);
    assertEquals((await as({ FSH_TOKEN: "fsh_wrong" })("ls", server.url)).code, 4);
    for (let round = 0; round < 3; round++) assertEquals((await office("ls", url)).code, 0);
    assertEquals(await server.stop(), 0);
    const files = names(folder.path).filter((name) => name.startsWith("access.log"));
    assertGreaterOrEqual(files.length, 2);
    for (const name of files) assert(Deno.statSync(`${folder.path}/${name}`).size <= 1024, name);
    const oldestFirst = files.sort((a, b) => Number(b.split(".")[2] ?? 0) - Number(a.split(".")[2] ?? 0));
    const lines = oldestFirst.flatMap((name) => linesOf(`${folder.path}/${name}`));
    const did = lines.map((line) => format === "json" ? fromJson(line) : fromCommon(line));
    assertEquals(did.filter((line) => !line.startsWith("DISCONNECT")), [
      'office GET /odd "name".txt 200 5',
      "office STAT /new.txt NOT_FOUND 0",
      "office PUT /new.txt 200 77",
      "office GET /door.key NOT_PERMITTED 0",
      "office GET /none NOT_FOUND 0",
      "- AUTH token AUTH_FAILED 0",
      ...Array.from({ length: 3 }, () => "office LIST / 200 0"),
    ]);
    assertEquals(did.filter((line) => line.startsWith("DISCONNECT")).length, 8);
  });
}

/** `user WHAT path status-or-error bytes`, as both formats tell it. */
function fromCommon(line: string): string {
  const pattern =
    /^127\.0\.0\.1 - (\S+) \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "((?:[^"\\]|\\.)*) FSH\/1" (\d{3}) (\d+) [\d.]+ (\S+) \S+$/;
  const [, user, request = "", status, bytes, error] = pattern.exec(line) ?? [];
  assert(user, line);
  if (request.startsWith("DISCONNECT")) return "DISCONNECT";
  const outcome = error === "-" ? status : error;
  assertEquals(status === "200", error === "-", line);
  return `${user} ${request.replaceAll('\\"', '"')} ${outcome} ${bytes}`;
}

function fromJson(line: string): string {
  const entry = JSON.parse(line);
  if (entry.event === "disconnect") return "DISCONNECT";
  const { user = "-", command = "AUTH", path = entry.method, bytes = 0, error } = entry;
  return `${user} ${command.toUpperCase()} ${path} ${error?.name ?? 200} ${bytes}`;
}

Deno.test("all seven together: a tree is put and got back the same, and each of them still does what it should", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const alice = await accounts.key("alice", ["--home", "/alice"]);
  const token = await accounts.token("robot", ["--home", "/alice", "--access", "read"]);
  const log = `${folder.path}/access.log`;
  await using receiver = new WebhookReceiver();
  const plugins = {
    "rate-guard": { "max-failures": "3", delay: "10" },
    "auth-users": { file: accounts.users },
    "auth-token": { file: accounts.tokens },
    "path-filter": { deny: "*.key", hide: "*.secret" },
    quota: { file: `${folder.path}/usage.json`, bytes: "8M" },
    "access-log": { file: log },
    webhook: { url: receiver.url, backoff: "0.1" },
  };
  await using server = await ServerProcess.start({ args: shipped(plugins), env: { FSH_WEBHOOK_SECRET: SECRET } });
  const url = urlOf(server, "alice");
  const tree: Record<string, Uint8Array | string> = { "large.bin": crypto.getRandomValues(new Uint8Array(65536)) };
  for (let number = 0; number < 200; number++) {
    tree[`d${number % 7}/e/f${number}.txt`] = `file ${number}\n`.repeat(number);
  }
  tree["big.bin"] = new Uint8Array(5_000_000).fill(7);
  await fill(`${folder.path}/tree`, tree);
  const put = await as(alice)("put", "-r", "--jobs", "3", `${folder.path}/tree`, url);
  assertEquals(put.code, 0, put.err);
  await Deno.mkdir(`${folder.path}/back`);
  const got = await fsh(["get", "-r", `${server.url}tree`, `${folder.path}/back`], {
    env: { ...NOTHING, FSH_TOKEN: token },
  });
  assertEquals(got.code, 0, got.err);
  for (const [path, content] of Object.entries(tree)) {
    const back = await Deno.readFile(`${folder.path}/back/tree/${path}`);
    assertEquals(back, typeof content === "string" ? encodeUtf8(content) : content, path);
  }
  assertEquals(allNames(`${folder.path}/back/tree`).length, Object.keys(tree).length);
  assertEquals(allNames(server.folder).sort(), Object.keys(tree).map((path) => `alice/tree/${path}`).sort());

  assertEquals((await as(alice)("put", `${folder.path}/tree/big.bin`, `${url}second.bin`)).code, 4, "quota");
  assertEquals((await as(alice)("put", `${folder.path}/tree/large.bin`, `${url}door.key`)).code, 4, "path-filter");
  assertEquals(
    (await fsh(["rm", `${server.url}tree/big.bin`], { env: { ...NOTHING, FSH_TOKEN: token } })).code,
    4,
    "access",
  );
  const committed = () => receiver.taken.filter(({ body }) => JSON.parse(body).event === "committed").length;
  await eventually("a message for each file", 10_000, () => committed() >= Object.keys(tree).length);
  for (const { body, signature } of receiver.taken.slice(0, 3)) assertEquals(await isSigned(body, signature), true);
  const lines = () => linesOf(log);
  await eventually("a line for each file, both ways", 5000, () => {
    return ["PUT", "GET"].every((way) =>
      Object.keys(tree).every((path) => lines().some((line) => new RegExp(`"${way}S? /alice/tree/${path} `).test(line)))
    );
  });
  assertEquals(lines().filter((line) => / NOT_PERMITTED /.test(line)).length, 3);
  for (let attempt = 0; attempt < 3; attempt++) {
    assertEquals((await as({ FSH_TOKEN: "fsh_wrong" })("ls", server.url)).code, 4);
  }
  const banned = await as(alice)("ls", url);
  assertEquals(banned.code, 4);
  assertStringIncludes(banned.err, "too many attempts from this address");
  await eventually("the refused connection's line", 3000, () => {
    return lines().some((line) => /"CONNECT FSH\/1" 403 .* NOT_PERMITTED -$/.test(line));
  });
  assertEquals(await server.stop(), 0);
  const usage = JSON.parse(await Deno.readTextFile(`${folder.path}/usage.json`));
  assertEquals(Object.keys(usage.files).length, Object.keys(tree).length);
  for (const secret of [token, SECRET]) assertEquals((server.log + lines().join("\n")).includes(secret), false);
});
