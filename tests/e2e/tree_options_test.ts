import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fsh, ServerProcess } from "../support/program.ts";
import { Proxy } from "../support/proxy.ts";

interface Place extends AsyncDisposable {
  readonly server: ServerProcess;
  /** A folder of the client's. */
  readonly here: string;
}

async function place(args: readonly string[] = []): Promise<Place> {
  const server = await ServerProcess.start({ args });
  const here = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  return {
    server,
    here,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Deno.remove(here, { recursive: true });
    },
  };
}

/** A tree with links of every kind, in `folder`. */
async function linkedTree(folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/sub/deep`, { recursive: true });
  await Deno.writeTextFile(`${folder}/file`, "content");
  await Deno.writeTextFile(`${folder}/sub/deep/x`, "deep");
  await Deno.symlink("file", `${folder}/to-file`);
  await Deno.symlink("sub", `${folder}/to-sub`);
  await Deno.symlink("../../sub", `${folder}/sub/deep/back`);
  await Deno.symlink("/etc/hostname", `${folder}/absolute`);
  await Deno.symlink("../../../etc/hostname", `${folder}/sub/up`);
  await Deno.symlink("nowhere", `${folder}/dangling`);
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Gets or puts the linked tree, and answers where the copy is and what was said. */
async function transferLinks(way: "get" | "put", { server, here }: Place, mode: string) {
  if (way === "get") {
    await linkedTree(`${server.folder}/tree`);
    const done = await fsh(["get", "-r", "--links", mode, `${server.url}tree`, `${here}/copy`]);
    return { ...done, copy: `${here}/copy` };
  }
  await linkedTree(`${here}/tree`);
  const done = await fsh(["put", "-r", "--links", mode, `${here}/tree`, `${server.url}copy`]);
  return { ...done, copy: `${server.folder}/copy` };
}

for (const way of ["get", "put"] as const) {
  Deno.test(`${way} -r skips links with a line each`, async () => {
    await using both = await place();
    const { code, err, copy } = await transferLinks(way, both, "skip");
    assertEquals(code, 0, err);
    assertEquals(names(copy), ["file", "sub"]);
    assertEquals(err.split("\n").filter((line) => line.includes("symbolic link")).length, 6);
  });

  Deno.test(`${way} -r --links copy makes the same links, none that leads out of the tree`, async () => {
    await using both = await place();
    const { code, err, copy } = await transferLinks(way, both, "copy");
    assertEquals(code, 0, err);
    assertEquals(names(copy), ["dangling", "file", "sub", "to-file", "to-sub"]);
    assertEquals(names(`${copy}/sub`), ["deep"]);
    assertEquals(await Deno.readLink(`${copy}/to-file`), "file");
    assertEquals(await Deno.readLink(`${copy}/sub/deep/back`), "../../sub");
    assertEquals(err.split("\n").filter((line) => line.includes("leads out of the tree")).length, 2);
  });

  Deno.test(`${way} -r --links follow takes what they lead to, within the tree and without going round`, async () => {
    await using both = await place();
    const { code, err, copy } = await transferLinks(way, both, "follow");
    assertEquals(code, 0, err);
    assertEquals(names(copy), ["file", "sub", "to-file", "to-sub"]);
    assertEquals((await Deno.lstat(`${copy}/to-file`)).isFile, true);
    assertEquals(await Deno.readTextFile(`${copy}/to-file`), "content");
    assertEquals(await Deno.readTextFile(`${copy}/to-sub/deep/x`), "deep");
    assertEquals(await Deno.readTextFile(`${copy}/sub/deep/back/deep/x`), "deep");
    assertStringIncludes(err, "below another one that was followed");
    assertStringIncludes(err, "leads nowhere");
    assertEquals(err.includes("hostname") && !err.includes("leads out"), false);
  });

  Deno.test(`${way} -r keeps the times of folders, and with --preserve their modes`, async () => {
    await using both = await place();
    const { server, here } = both;
    const from = way === "get" ? `${server.folder}/tree` : `${here}/tree`;
    await Deno.mkdir(`${from}/a/empty`, { recursive: true });
    await Deno.writeTextFile(`${from}/a/file`, "1");
    await Deno.chmod(`${from}/a`, 0o750);
    const times = new Map([["a/empty", 1_000_000], ["a", 2_000_000], ["", 3_000_000]]);
    for (const [path, seconds] of times) await Deno.utime(`${from}/${path}`, seconds, seconds);
    const copy = way === "get" ? `${here}/copy` : `${server.folder}/copy`;
    const operands = way === "get" ? [`${server.url}tree`, copy] : [from, `${server.url}copy`];
    const { code, err } = await fsh([way, "-r", "-p", ...operands]);
    assertEquals(code, 0, err);
    for (const [path, seconds] of times) {
      assertEquals((await Deno.stat(`${copy}/${path}`)).mtime?.getTime(), seconds * 1000, path);
    }
    assertEquals(((await Deno.stat(`${copy}/a`)).mode ?? 0) & 0o777, 0o750);
  });

  Deno.test(`${way} -r --jobs 4 shares a tree out among four connections`, async () => {
    await using both = await place(["--json"]);
    const { server, here } = both;
    const from = way === "get" ? `${server.folder}/tree` : `${here}/tree`;
    await Deno.mkdir(from);
    for (let i = 0; i < 12; i++) await Deno.writeFile(`${from}/f${i}`, new Uint8Array(3_000_000).fill(i));
    const copy = way === "get" ? `${here}/copy` : `${server.folder}/copy`;
    const operands = way === "get" ? [`${server.url}tree`, copy] : [from, `${server.url}copy`];
    const { code, err } = await fsh([way, "-r", "--jobs", "4", "--compress", "never", ...operands]);
    assertEquals(code, 0, err);
    for (let i = 0; i < 12; i++) {
      assertEquals(await Deno.readFile(`${copy}/f${i}`), new Uint8Array(3_000_000).fill(i));
    }
    const moved = [...server.log.matchAll(/"message":"session ended".*?"received":(\d+),"sent":(\d+)/g)]
      .map(([, received, sent]) => Math.max(Number(received), Number(sent)));
    assertEquals(moved.length, 4);
    assert(Math.min(...moved) > 3_000_000, `shared out as ${moved}`);
  });
}

Deno.test("--update with --checksum goes by the digest, not by the time", async () => {
  await using both = await place();
  const { server, here } = both;
  await Deno.mkdir(`${here}/tree`);
  for (const name of ["same", "other"]) await Deno.writeTextFile(`${here}/tree/${name}`, `of the same size: ${name}!`);
  assertEquals((await fsh(["put", "-r", `${here}/tree`, server.url])).code, 0);
  // Touched, but the same; changed, but with the old time.
  await Deno.utime(`${here}/tree/same`, 1_000_000, 1_000_000);
  const { mtime } = await Deno.stat(`${here}/tree/other`);
  await Deno.writeTextFile(`${here}/tree/other`, "of the same size: OTHER");
  await Deno.writeTextFile(`${here}/tree/other`, "of the same size: OTHER!");
  await Deno.utime(`${here}/tree/other`, mtime ?? 0, mtime ?? 0);
  const put = await fsh(["put", "-r", "--update", "--checksum", "sha256", `${here}/tree`, server.url]);
  assertStringIncludes(put.err, "put 1 file, 1 unchanged");
  assertEquals(await Deno.readTextFile(`${server.folder}/tree/other`), "of the same size: OTHER!");
  await Deno.writeTextFile(`${here}/tree/other`, "of the same size: ANEW!!");
  const got = await fsh(["get", "-r", "-u", "--checksum", "crc32", `${server.url}tree`, here]);
  assertStringIncludes(got.err, "got 1 file, 1 unchanged");
  assertEquals(await Deno.readTextFile(`${here}/tree/other`), "of the same size: OTHER!");
});

Deno.test("--json tells what happens, a line each", async () => {
  await using both = await place();
  const { server, here } = both;
  await Deno.mkdir(`${here}/tree`);
  await Deno.writeTextFile(`${here}/tree/a`, "a");
  await Deno.writeFile(`${here}/tree/b`, new Uint8Array(100_000));
  await Deno.symlink("a", `${here}/tree/link`);
  const put = await fsh(["put", "-r", "--json", `${here}/tree`, server.url]);
  assertEquals([put.code, put.err], [0, ""]);
  const events = put.out.trim().split("\n").map((line) => JSON.parse(line));
  const of = (event: string) => events.filter((one) => one.event === event);
  assertEquals(of("begin").map(({ path, size }) => [path, size]).sort(), [["/tree/a", 1], ["/tree/b", 100_000]]);
  assertEquals(of("done").map(({ bytes }) => bytes).sort(), [1, 100_000]);
  assertEquals(of("skipped").length, 1);
  const [{ files, bytes, failed, check }] = of("summary");
  assertEquals([files, bytes, failed, check], [2, 100_001, 0, "crc32 agrees"]);
  const missing = await fsh(["get", "--json", `${server.url}nothing`, `${server.url}tree/a`, `${here}/`]);
  assertEquals(missing.code, 7);
  assertStringIncludes(missing.out, '"event":"failed","path":"/nothing","error":"NOT_FOUND"');
  // Standard output is for the file itself.
  const piped = await fsh(["get", "--json", `${server.url}tree/a`, "-"]);
  assertEquals(piped.out, "a");
  assertStringIncludes(piped.err, '"event":"summary"');
});

for (const way of ["get", "put"] as const) {
  Deno.test(`${way} --compress: text shrinks on a slow link, noise does not, and both arrive`, async () => {
    await using both = await place();
    const { server, here } = both;
    await using proxy = new Proxy(server.port, { rate: 4_000_000 });
    const text = new TextEncoder().encode("the same words again and again; ".repeat(200_000));
    // More than what the buffers on the way swallow before they show how slow it is.
    const longText = new TextEncoder().encode("the same words again and again; ".repeat(1_000_000));
    const noise = new Uint8Array(3_000_000);
    for (let at = 0; at < noise.length; at += 60_000) crypto.getRandomValues(noise.subarray(at, at + 60_000));
    for (
      const [name, content, mode, share] of [
        ["text", text, "always", 0.1],
        ["long text", longText, "auto", 0.6],
        ["text", text, "never", 1.1],
        ["noise", noise, "always", 1.1],
      ] as const
    ) {
      const from = way === "get" ? `${server.folder}/${name}` : `${here}/${name}`;
      const to = way === "get" ? `${here}/copy` : `${server.folder}/copy`;
      await Deno.writeFile(from, content);
      const before = proxy.passed.client + proxy.passed.server;
      const operands = way === "get" ? [`${proxy.url}${name}`, to] : [from, `${proxy.url}copy`];
      const { code, err } = await fsh([way, ...(way === "get" ? ["--force"] : []), "--compress", mode, ...operands]);
      assertEquals(code, 0, err);
      assertEquals(await Deno.readFile(to), content);
      const moved = (proxy.passed.client + proxy.passed.server - before) / content.length;
      assert(moved < share, `${name}, ${mode}: ${moved.toFixed(2)} of its size went over the wire`);
      if (mode === "never") assert(moved >= 1);
    }
  });
}
