import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fsh, names, scratch, ServerProcess } from "../support/program.ts";

async function tree(root: string): Promise<void> {
  await Deno.mkdir(`${root}/sub/.git`, { recursive: true });
  for (const name of ["a.txt", "b.tmp", "sub/c.txt", "sub/d.png", "sub/.git/config"]) {
    await Deno.writeTextFile(`${root}/${name}`, name);
  }
}

Deno.test("--exclude and --include choose what of a tree goes, both ways", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await tree(`${server.folder}/tree`);
  const got = await fsh(["get", "-r", "--exclude", ".git", "--exclude", "*.tmp", `${server.url}tree`, local.path]);
  assertEquals(got.code, 0, got.err);
  assertEquals(names(`${local.path}/tree`), ["a.txt", "sub"]);
  assertEquals(names(`${local.path}/tree/sub`), ["c.txt", "d.png"]);
  const put = await fsh(["put", "-r", "--include", "*.png", `${local.path}/tree`, `${server.url}only`]);
  assertEquals(put.code, 0, put.err);
  assertEquals(names(`${server.folder}/only`), ["sub"]);
  assertEquals(names(`${server.folder}/only/sub`), ["d.png"]);
});

Deno.test("--dry-run says what would go, and changes nothing", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await tree(`${server.folder}/tree`);
  const got = await fsh(["get", "-r", "--dry-run", `${server.url}tree`, `${local.path}/new`]);
  assertEquals(got.code, 0, got.err);
  for (const name of ["a.txt", "b.tmp", "sub/c.txt", "sub/.git/config"]) assertStringIncludes(got.out, `/tree/${name}`);
  assertMatch(got.err, /nothing was moved/);
  await tree(`${local.path}/here`);
  const put = await fsh(["put", "-r", "--dry-run", `${local.path}/here`, `${server.url}new`]);
  assertEquals(put.code, 0, put.err);
  assertEquals(names(server.folder), ["tree"]);
  assertEquals(names(local.path), ["here"]);
});

Deno.test("patterns in a URL mean what matches, and a file of that very name comes first", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.mkdir(`${server.folder}/logs`);
  for (const name of ["1.gz", "2.gz", "3.txt", ".hidden.gz"]) {
    await Deno.writeTextFile(`${server.folder}/logs/${name}`, name);
  }
  const got = await fsh(["get", `${server.url}l*s/*.gz`, `${local.path}/out`]);
  assertEquals(got.code, 0, got.err);
  assertEquals(names(`${local.path}/out`), ["1.gz", "2.gz"]);
  const none = await fsh(["get", `${server.url}logs/*.zip`, local.path]);
  assertEquals(none.code, 5);
  assertStringIncludes(none.err, "nothing matches");
  await Deno.writeTextFile(`${server.folder}/[1]*`, "literal");
  assertEquals((await fsh(["get", `${server.url}[1]*`, "-"])).out, "literal");
});

Deno.test("--update moves nothing the second time, and only what changed the third", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await tree(`${local.path}/tree`);
  const put = ["put", "-r", "--update", `${local.path}/tree`, `${server.url}copy/`];
  assertMatch((await fsh(put)).err, /put 5 files, .* crc32/);
  assertMatch((await fsh(put)).err, /put 0 files, 5 unchanged, 0 B/);
  const get = ["get", "-r", "--update", `${server.url}copy/tree`, `${local.path}/`];
  assertMatch((await fsh(get)).err, /got 0 files, 5 unchanged, 0 B/);
  await Deno.writeTextFile(`${local.path}/tree/a.txt`, "changed");
  assertMatch((await fsh(put)).err, /put 1 file, 4 unchanged/);
  assertMatch((await fsh(get)).err, /got 0 files, 5 unchanged/);
});

Deno.test("verify finds what differs, is missing or is too much, by digest", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await tree(`${local.path}/tree`);
  await tree(`${server.folder}/tree`);
  const verify = ["verify", "-r", `${local.path}/tree`, `${server.url}tree`];
  const same = await fsh(verify);
  assertEquals([same.code, same.out], [0, ""], same.err);
  await Deno.writeTextFile(`${server.folder}/tree/a.txt`, "A.txt");
  await Deno.remove(`${server.folder}/tree/b.tmp`);
  await Deno.writeTextFile(`${server.folder}/tree/sub/more`, "");
  const { code, out } = await fsh(verify);
  assertEquals(code, 6);
  assertEquals(out.trim().split("\n").sort(), ["differs: a.txt", "only here: b.tmp", "only there: sub/more"]);
  const one = await fsh(["verify", `${local.path}/tree/a.txt`, `${server.url}tree/a.txt`]);
  assertEquals(one.code, 6);
});

Deno.test("--limit-rate holds, on either side and in either direction", async () => {
  const bytes = 6_000_000;
  await using free = await ServerProcess.start({ args: ["--durability", "none"] });
  await using limited = await ServerProcess.start({ args: ["--limit-rate", "3M", "--durability", "none"] });
  await using local = await scratch();
  await Deno.writeFile(`${local.path}/file`, new Uint8Array(bytes));
  const file = `${local.path}/file`;
  const runs = [
    ["put", "--limit-rate", "3M", file, `${free.url}file`],
    ["get", "--force", "--limit-rate", "3M", `${free.url}file`, `${local.path}/copy`],
    ["put", file, `${limited.url}file`],
    ["get", "--force", `${limited.url}file`, `${local.path}/copy`],
  ];
  for (const args of runs) {
    const begun = performance.now();
    const { code, err } = await fsh(args);
    assertEquals(code, 0, err);
    const seconds = (performance.now() - begun) / 1000;
    assertEquals(seconds > 1.5 && seconds < 8, true, `${args[0]}: ${seconds} s for 6 MB at 3 MiB/s`);
  }
  assertEquals((await fsh(["get", "--limit-rate", "1", `${free.url}file`, "-"])).code, 2);
});
