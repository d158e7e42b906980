import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash, randomBytes } from "node:crypto";
import { partFiles } from "../support/old_file.ts";
import { eventually, FSH, fsh, names, scratch, ServerProcess } from "../support/program.ts";

const ODD_NAMES = ["tệp tin có dấu.txt", "two  spaces", "-dash", "line\nbreak", "per%20cent", "trailing.", "😀", "#?&"];

/** In a URL a `%` that might begin an escape is written %25. */
function asUrl(server: ServerProcess, name: string): string {
  return server.url + name.replaceAll("%", "%25");
}

Deno.test("the executable alone, in an empty folder, does everything", async () => {
  await using home = await scratch();
  await Deno.copyFile(FSH, `${home.path}/fsh`);
  await Deno.mkdir(`${home.path}/served`);
  const own = `${home.path}/fsh`;
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(own, {
      args,
      cwd: home.path,
      clearEnv: true,
      env: { HOME: home.path },
    }).output();
    assertEquals(code, 0, `${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  };
  await using server = await ServerProcess.start({ folder: `${home.path}/served`, command: [own] });
  await Deno.writeTextFile(`${home.path}/local`, "content");

  await run("put", "local", server.url);
  assertMatch(await run("ls", "-l", server.url), /^-rw.* 7 .* local\n$/);
  await run("mkdir", `${server.url}folder`);
  await run("mv", `${server.url}local`, `${server.url}folder/`);
  await run("get", `${server.url}folder/local`, "back");
  assertEquals(await Deno.readTextFile(`${home.path}/back`), "content");
  assertStringIncludes(await run("stat", `${server.url}folder/local`), "7 bytes");
  const sha256 = createHash("sha256").update("content").digest("hex");
  assertStringIncludes(await run("hash", `${server.url}folder/local`), sha256);
  assertMatch(await run("ping", "-c", "2", "-i", "10ms", server.url), /2 sent, 2 received, 0% lost/);
  await run("rm", "-r", `${server.url}folder`);
  assertEquals(await run("ls", server.url), "");
  assertEquals(await server.stop(), 0);
});

Deno.test("put - and get - stream through pipes, empty input included", async () => {
  await using server = await ServerProcess.start();
  const bytes = randomBytes(20_000_000);
  assertEquals((await fsh(["put", "-", `${server.url}piped`], { stdin: bytes })).code, 0);
  assertEquals(await sha256(`${server.folder}/piped`), createHash("sha256").update(bytes).digest("hex"));
  const { stdout, code } = await new Deno.Command(FSH, { args: ["get", `${server.url}piped`, "-"] }).output();
  assertEquals(code, 0);
  assert(bytes.equals(stdout));
  assertEquals((await fsh(["put", "-", `${server.url}empty`], { stdin: new Uint8Array() })).code, 0);
  assertEquals((await Deno.stat(`${server.folder}/empty`)).size, 0);
});

Deno.test("odd names go both ways as they are", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  for (const name of ODD_NAMES) {
    await Deno.writeTextFile(`${local.path}/${name}`, name);
    const put = await fsh(["put", `${local.path}/${name}`, asUrl(server, name)]);
    assertEquals(put.code, 0, put.err);
    const got = await fsh(["get", asUrl(server, name), "-"]);
    assertEquals(got.out, name, got.err);
  }
  assertEquals(names(server.folder), [...ODD_NAMES].sort());
  const listed = (await fsh(["ls", "--json", server.url])).out.trim().split("\n").map((line) => JSON.parse(line).name);
  assertEquals(listed.sort(), [...ODD_NAMES].sort());
});

Deno.test("trees go both ways: empty folders, empty files, times, links skipped with a line", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  const tree = `${local.path}/tree`;
  await Deno.mkdir(`${tree}/a/b/c`, { recursive: true });
  await Deno.mkdir(`${tree}/void`);
  for (let i = 0; i < 300; i++) await Deno.writeFile(`${tree}/a/b/${i}`, randomBytes(i * 17));
  await Deno.symlink("/etc/passwd", `${tree}/link`);
  await Deno.utime(`${tree}/a/b/7`, 1_000_000_000, 1_000_000_000);

  const put = await fsh(["put", "-r", tree, server.url]);
  assertEquals(put.code, 0, put.err);
  assertMatch(put.err, /skipped link: symbolic link/);
  assertMatch(put.err, /put 300 files/);
  const got = await fsh(["get", "-r", `${server.url}tree`, `${local.path}/back`]);
  assertEquals(got.code, 0, got.err);
  await Deno.remove(`${tree}/link`);
  const { code, stdout } = await new Deno.Command("diff", { args: ["-r", tree, `${local.path}/back`] }).output();
  assertEquals(code, 0, new TextDecoder().decode(stdout));
  assertEquals((await Deno.stat(`${local.path}/back/a/b/7`)).mtime?.getTime(), 1_000_000_000_000);
  // Into a folder that is there the tree goes by its name, as with cp -r.
  assertEquals((await fsh(["get", "-r", "--force", `${server.url}tree`, local.path])).code, 0);
  assert((await Deno.stat(`${local.path}/tree/void`)).isDirectory);
});

Deno.test("several files go into a folder, which a trailing slash makes", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.writeTextFile(`${local.path}/a`, "a");
  await Deno.writeTextFile(`${local.path}/b`, "b");
  await Deno.mkdir(`${server.folder}/in`);
  assertEquals((await fsh(["put", `${local.path}/a`, `${local.path}/b`, `${server.url}in`])).code, 0);
  assertEquals(names(`${server.folder}/in`), ["a", "b"]);
  assertEquals((await fsh(["get", `${server.url}in/a`, `${server.url}in/b`, `${local.path}/new/`])).code, 0);
  assertEquals(names(`${local.path}/new`), ["a", "b"]);
  assertEquals((await fsh(["get", `${server.url}in/a`, "/dev/null"])).code, 0);
  assert((await Deno.stat("/dev/null")).isCharDevice);
});

Deno.test("a folder of 100,000 names is listed whole, with bounded memory", async () => {
  await using server = await ServerProcess.start();
  for (let i = 0; i < 100_000; i++) Deno.writeFileSync(`${server.folder}/file-${i}`, new Uint8Array());
  const begun = performance.now();
  const { code, out } = await fsh(["ls", server.url]);
  assertEquals(code, 0);
  assertEquals(out.split("\n").length, 100_001);
  assert(performance.now() - begun < 30_000, "it took longer than 30 s");
});

Deno.test("two puts of one path at once: both complete, one wins whole", async () => {
  await using server = await ServerProcess.start();
  const contents = [randomBytes(30_000_000), randomBytes(30_000_000)] as const;
  const outcomes = await Promise.all(
    contents.map((content) => fsh(["put", "-", `${server.url}same`], { stdin: content })),
  );
  for (const { code, err } of outcomes) assertEquals(code, 0, err);
  const stored = await Deno.readFile(`${server.folder}/same`);
  assert(contents.some((content) => content.equals(stored)), "the file is neither of the two");
  assertEquals(names(server.folder), ["same"]);
});

Deno.test("exit status 6: a source that shrinks while it is read leaves the old target", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  const file = `${local.path}/shrinking`;
  await Deno.writeTextFile(`${server.folder}/target`, "old");
  await Deno.truncate(await touch(file), 20_000_000_000);
  const running = fsh(["put", "-q", file, `${server.url}target`]);
  await eventually("the put to have begun", 20_000, () => partFiles(server.folder).some(isBegun));
  await Deno.truncate(file, 1000);
  const { code, err } = await running;
  assertEquals(code, 6, err);
  assertStringIncludes(err, "changed");
  assertEquals(await Deno.readTextFile(`${server.folder}/target`), "old");
  assertEquals(names(server.folder), ["target"]);
});

function isBegun(part: string): boolean {
  return Deno.statSync(part).size > 0;
}

async function touch(path: string): Promise<string> {
  await Deno.writeFile(path, new Uint8Array());
  return path;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of (await Deno.open(path)).readable) hash.update(chunk);
  return hash.digest("hex");
}
