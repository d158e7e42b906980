import { assert, assertEquals, assertMatch, assertStringIncludes, fail } from "@std/assert";
import { isError } from "../../lib/base/errors.ts";
import { Client } from "../../lib/client/client.ts";
import { quicEnds } from "../support/scheme.ts";
import { sourceOf } from "../support/sources.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { Accounts, as, shipped, urlOf } from "../support/shipped.ts";

const PASSWORD = "correct horse battery";

/** A folder with two homes and something beside them. */
async function makeFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  for (const user of ["alice", "bob"]) {
    await Deno.mkdir(`${folder}/${user}/sub`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${user}/${user}.txt`, `${user}'s secret`);
    await Deno.writeTextFile(`${folder}/${user}/sub/deep.txt`, `${user}'s depth`);
  }
  await Deno.writeTextFile(`${folder}/top.txt`, "top secret");
  await Deno.symlink("../alice", `${folder}/bob/way`);
  await Deno.symlink("../alice/alice.txt", `${folder}/bob/link.txt`);
  await Deno.symlink(`${folder}/alice`, `${folder}/bob/absolute`);
  await Deno.symlink("/etc", `${folder}/bob/etc`);
  await Deno.symlink("sub", `${folder}/bob/own`);
  return folder;
}

/** Every file of a folder with its text, and every link with where it leads. */
function snapshot(folder: string): string[] {
  return names(folder).flatMap((name) => {
    const path = `${folder}/${name}`;
    const { isDirectory, isSymlink } = Deno.lstatSync(path);
    if (isSymlink) return [`${path} -> ${Deno.readLinkSync(path)}`];
    return isDirectory ? [path, ...snapshot(path)] : [`${path}: ${Deno.readTextFileSync(path)}`];
  });
}

Deno.test("passwords: right, wrong, unknown, none, expired, read only; a home from the first visit on; changes hold", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  await accounts.password("alice", PASSWORD, ["--home", "/people/alice"]);
  assertEquals((await Deno.stat(accounts.users)).mode ?? 0, 0o100600);
  assertEquals((await Deno.readTextFile(accounts.users)).includes(PASSWORD), false);
  await using server = await ServerProcess.start({ args: shipped({ "auth-users": { file: accounts.users } }) });
  const url = urlOf(server, "alice");
  const alice = as({ FSH_PASSWORD: PASSWORD });
  const byKey = as(await accounts.key("alice"));
  assertEquals(names(server.folder), []);
  const [first, wrong, unknown, none, unnamed] = await Promise.all([
    alice("ls", url),
    as({ FSH_PASSWORD: "correct horse" })("ls", url),
    as({ FSH_PASSWORD: PASSWORD })("ls", urlOf(server, "carol")),
    as({})("ls", url),
    as({ FSH_PASSWORD: PASSWORD })("ls", server.url),
  ]);
  assertEquals([first.code, first.out], [0, ""], first.err);
  assertEquals(names(`${server.folder}/people`), ["alice"]);
  assertEquals([wrong.code, wrong.out], [4, ""]);
  assertMatch(wrong.err, /^fsh: 127\.0\.0\.1:\d+: authentication failed \(these credentials let nobody in\)/);
  assertEquals([unknown.code, portless(unknown.err)], [4, portless(wrong.err)], "an unknown user is told no more");
  assertEquals([none.code, none.out], [4, ""]);
  assertMatch(none.err, /the server asks for .*scram-sha-256.*set FSH_PASSWORD/);
  assertEquals([unnamed.code, unnamed.out], [4, ""]);
  assertMatch(unnamed.err, /name the user, as in fsh:\/\/USER@host\//);

  // From now on each change of the file holds, for a server that goes on running.
  const file = `${folder.path}/a.txt`;
  await Deno.writeTextFile(file, "a");
  assertEquals((await byKey("put", file, url)).code, 0);
  await accounts.change("alice", ["--no-password", "--access", "read"]);
  const put = await byKey("put", file, `${url}b.txt`);
  assertEquals(put.code, 4);
  assertMatch(put.err, /\/b\.txt: permission denied \(this user may only read\)/);
  assertEquals(names(`${server.folder}/people/alice`), ["a.txt"]);
  assertEquals((await byKey("get", `${url}a.txt`, "-")).out, "a");
  await accounts.change("alice", ["--no-password", "--expires", "2020-02-29"]);
  const expired = await alice("ls", url);
  assertEquals([expired.code, portless(expired.err)], [4, portless(wrong.err)]);
  await accounts.password("alice", "another", ["--expires", "never"]);
  const [old, fresh] = await Promise.all([alice("ls", url), as({ FSH_PASSWORD: "another" })("ls", url)]);
  assertEquals([old.code, fresh.code], [4, 0], fresh.err);
  await Deno.writeTextFile(accounts.users, "{ half a file");
  assertEquals((await byKey("ls", url)).code, 0, "what was there before still holds");
  await server.logged(/error file not usable; what it said before still holds.*users\.json/);
  assertEquals(server.log.includes(PASSWORD), false);
});

Deno.test("keys: the right one, another's, one that expired while its session ran; a user removed from the file", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const alice = await accounts.key("alice", ["--home", "/alice"]);
  const bob = await accounts.key("bob", ["--home", "/bob"]);
  const args = shipped({ "auth-users": { file: accounts.users } });
  await using server = await ServerProcess.start({ args, folder: await makeFolder() });
  assertEquals((await as(alice)("ls", urlOf(server, "alice"))).out, "alice.txt\nsub/\n");
  const byKeyOnly = await as(alice)("ls", server.url);
  assertEquals([byKeyOnly.code, byKeyOnly.out], [0, "alice.txt\nsub/\n"], "the key says who it is");
  const anothers = await as(bob)("ls", urlOf(server, "alice"));
  assertEquals([anothers.code, anothers.out], [4, ""]);
  const stranger = `${folder.path}/stranger`;
  assertEquals((await fsh(["keygen", stranger])).code, 0);
  assertEquals((await as({ FSH_IDENTITY: stranger })("ls", urlOf(server, "alice"))).code, 4);

  const soon = new Date(Date.now() + 3000).toISOString();
  await accounts.change("bob", ["--no-password", "--expires", soon]);
  await Deno.writeFile(`${server.folder}/bob/large`, new Uint8Array(3_000_000));
  const running = as(bob)("get", "-q", "--limit-rate", "800K", `${urlOf(server, "bob")}large`, "/dev/null");
  assertEquals((await as(bob)("ls", urlOf(server, "bob"))).code, 0);
  await eventually("the account to expire", 5000, () => Date.now() > Date.parse(soon));
  const late = await as(bob)("ls", urlOf(server, "bob"));
  assertEquals(late.code, 4);
  assertStringIncludes(late.err, `this account expired on ${soon}`);
  const begun = await running;
  assertEquals(begun.code, 0, `what had begun goes on: ${begun.err}`);
  assertEquals((await fsh(["passwd", "--delete", accounts.users, "alice"])).code, 0);
  assertEquals((await as(alice)("ls", urlOf(server, "alice"))).code, 4);
});

Deno.test("two users: neither sees, takes, changes or removes what is the other's, by no command and on no way", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const bob = as(await accounts.key("bob", ["--home", "/bob"]));
  const args = shipped({ "auth-users": { file: accounts.users } });
  await using server = await ServerProcess.start({ args, folder: await makeFolder() });
  const url = urlOf(server, "bob");
  const before = snapshot(server.folder);
  const local = `${folder.path}/local`;
  await Deno.mkdir(`${local}/tree`, { recursive: true });
  await Deno.writeTextFile(`${local}/tree/alice.txt`, "forged");
  await Deno.symlink("../alice", `${local}/tree/out`);
  const file = `${local}/tree/alice.txt`;
  const into = `${local}/got`;
  await Deno.mkdir(into);
  const results = await Promise.all(["../alice", "way"].map(async (way) => {
    const path = `${url}${way}`;
    const runs = [
      ["ls", "-l", `${path}/`],
      ["ls", "-R", path],
      ["stat", `${path}/alice.txt`],
      ["hash", `${path}/alice.txt`],
      ["get", `${path}/alice.txt`, `${path}/sub/deep.txt`, `${path}/a*`, into],
      ["get", "-r", "--links", "follow", path, into],
      ["verify", file, `${path}/alice.txt`],
      ["put", file, `${path}/alice.txt`],
      ["put", "-r", "--parents", `${local}/tree`, `${path}/new/`],
      ["mkdir", `${path}/folder`],
      ["mv", `${path}/alice.txt`, `${url}mine.txt`],
      ["mv", `${url}bob.txt`, `${path}/bob.txt`],
      ["rm", `${path}/alice.txt`],
      ["rm", "-r", path === `${url}../alice` ? path : `${path}/sub`],
    ];
    const outcomes = [];
    for (const run of runs) outcomes.push({ run, ...await bob(...run) });
    return outcomes;
  }));
  for (const { run, code, out, err } of results.flat()) {
    const what = `fsh ${run.join(" ")}: ${code} ${out} ${err}`;
    assert(code === 4 || code === 5 || code === 7 || (run[0] === "verify" && code === 6), what);
    assertEquals(/secret|depth|^alice\.txt|deep/m.test(out), false, what);
  }
  assertEquals(snapshot(server.folder), before);
  assertEquals(names(into), []);
});

Deno.test("names that lead out of a home are refused by the server itself, whatever a client asks", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const token = await accounts.token("bob", ["--home", "/bob"]);
  const args = shipped({ "auth-token": { file: accounts.tokens } });
  await using server = await ServerProcess.start({ args, folder: await makeFolder() });
  const before = snapshot(server.folder);
  await using client = await Client.connect({ hostname: "127.0.0.1", port: server.port }, {
    credentials: { user: "", token },
    ...(quicEnds ? { transport: quicEnds.transport } : {}),
  });
  const odd = ["..", "/..", "/../alice", "/sub/../../alice", "/./../alice", "//alice", "/way", "/absolute", "/etc"];
  const tried: string[] = [];
  for (const top of [...odd, "/alice", "/..\\alice", "/.. /alice", "/bob/../../alice"]) {
    const path = `${top}/alice.txt`;
    const ways: Record<string, () => Promise<unknown>> = {
      stat: () => client.stat(path),
      list: async () => await Array.fromAsync(client.list(top, { recursive: true })),
      hash: () => client.hash(path),
      get: () => client.get(path, { open: () => fail(`${path} was sent`) }),
      put: () => client.put(path, sourceOf(new Uint8Array(3)), { size: 3 }),
      mkdir: () => client.mkdir(`${top}/folder`),
      remove: () => client.remove(path, { recursive: true }),
      "move from": () => client.move(path, "/mine.txt"),
      "move to": () => client.move("/bob.txt", path),
      link: () => client.symlink(`/${top.length}`, `${"../".repeat(3)}alice`),
      "link there": () => client.symlink(`${top}/link`, "alice.txt"),
      "read link": () => client.readLink(`${top}/sub`),
      touch: () => client.touch(path, { modified: 0 }),
    };
    for (const [name, way] of Object.entries(ways)) {
      const error = await way().then(() => fail(`${name} ${path} was done`), (error) => error);
      assert(isError(error, "PATH_REJECTED", "NOT_PERMITTED", "NOT_FOUND"), `${name} ${path}: ${error}`);
      tried.push(name);
    }
  }
  assertEquals(tried.length, 13 * 13);
  assertEquals(snapshot(server.folder), before);
});

Deno.test("trees, patterns and links of a home: what leads out of it is left out, and what is put stays in it", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const bob = as(await accounts.key("bob", ["--home", "/bob"]));
  const args = shipped({ "auth-users": { file: accounts.users } });
  await using server = await ServerProcess.start({ args, folder: await makeFolder() });
  const url = urlOf(server, "bob");
  const before = snapshot(server.folder);
  const all = await bob("ls", "-R", url);
  assertEquals(/alice\.txt|passwd|top/.test(all.out), false, all.out);
  assertStringIncludes(all.out, "sub/deep.txt");
  assertEquals((await bob("get", `${url}own/deep.txt`, "-")).out, "bob's depth", "a link within the home is one");
  for (const links of ["skip", "copy", "follow"]) {
    const into = `${folder.path}/${links}`;
    await Deno.mkdir(into);
    const got = await bob("get", "-r", "--links", links, url, into);
    const files = snapshot(into).filter((line) => !line.includes(" -> "));
    assertEquals(files.some((line) => /alice|root:|top secret/.test(line)), false, `${got.err}${files.join("\n")}`);
    assert(files.some((line) => line.endsWith("bob.txt: bob's secret")), got.err);
  }
  const outward = `${folder.path}/outward`;
  await Deno.mkdir(outward);
  await Deno.symlink("../../alice", `${outward}/up`);
  await Deno.symlink("/etc/passwd", `${outward}/abs`);
  await Deno.writeTextFile(`${outward}/plain.txt`, "plain");
  const put = await bob("put", "-r", "--links", "copy", outward, url);
  assertEquals(names(`${server.folder}/bob/outward`), ["plain.txt"], put.err);
  assertEquals((await bob("mv", `${url}bob.txt`, `${url}outward/bob.txt`)).code, 0);
  for (const name of ["outward", "way", "absolute", "link.txt"]) {
    assertEquals((await bob("rm", "-r", `${url}${name}`)).code, 0);
  }
  const alices = (lines: string[]) => lines.filter((line) => line.startsWith(`${server.folder}/alice`));
  assertEquals(alices(snapshot(server.folder)), alices(before));
  assertEquals(names(`${server.folder}/bob`), ["etc", "own", "sub"]);
});

Deno.test("fsh explain --user answers as the server does", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const reader = await accounts.key("reader", ["--home", "/alice", "--access", "read"]);
  const plugins = shipped({
    "auth-users": { file: accounts.users },
    "path-filter": { deny: "*.key", hide: "/alice/sub" },
  });
  await using server = await ServerProcess.start({ args: plugins, folder: await makeFolder() });
  await Deno.writeTextFile(`${server.folder}/alice/door.key`, "key");
  const explain = (...what: string[]) =>
    fsh(["explain", ...plugins, "--folder", server.folder, "--user", "reader", ...what]);
  const url = urlOf(server, "reader");
  const cases: [explained: string[], done: string[], code: number, says: RegExp][] = [
    [["get", "/alice.txt"], ["get", `${url}alice.txt`, "-"], 0, /get \/alice\/alice\.txt: allowed[^]*home: /],
    [["get", "/door.key"], ["get", `${url}door.key`, "-"], 4, /authorize \(path-filter\).*denied by the rule \*\.key/],
    [["get", "/sub/deep.txt"], ["get", `${url}sub/deep.txt`, "-"], 5, /filterPath \(path-filter\)/],
    [["put", "/new.txt"], ["put", "-", `${url}new.txt`], 4, /access: .*this user may only read/],
    [["ls", "/"], ["ls", url], 0, /list \/alice: allowed/],
    [["mv", "/alice.txt", "/b"], ["mv", `${url}alice.txt`, `${url}b`], 4, /may only read/],
  ];
  for (const [explained, done, code, says] of cases) {
    const [told, did] = await Promise.all([explain(...explained), as(reader)(...done)]);
    assertEquals([told.code, did.code], [code, code], `${explained}: ${told.out}${told.err}${did.err}`);
    assertMatch(told.out, says);
  }
  const nobody = await fsh(["explain", ...plugins, "--folder", server.folder, "--user", "nobody", "get", "/alice.txt"]);
  assertEquals(nobody.code, 4, nobody.out);
  assertEquals(names(`${server.folder}/alice`), ["alice.txt", "door.key", "sub"]);
});

function portless(text: string): string {
  return text.replace(/:\d+:/, ":PORT:");
}
