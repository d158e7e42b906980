import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { replaceFile } from "../../../lib/hooks/replace_file.ts";
import { failure, temporaryFolder } from "../../support/hook_events.ts";
import { SmallDisk } from "../../support/small_disk.ts";

Deno.test("replaceFile: changes that come at once are made one after the other", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/list`;
  const add = (line: string) =>
    replaceFile(file, async (old) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      return `${old ?? ""}${line}\n`;
    });
  await Promise.all(Array.from({ length: 20 }, (_, i) => add(String(i))));
  const lines = (await Deno.readTextFile(file)).trimEnd().split("\n").map(Number).sort((a, b) => a - b);
  assertEquals(lines, Array.from({ length: 20 }, (_, i) => i));
  assertEquals(Array.from(Deno.readDirSync(folder.path), ({ name }) => name), ["list"]);
});

Deno.test("replaceFile: whoever opened the part file just before it became the file begins anew", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/list`;
  const workers = Array.from({ length: 30 }, async () => {
    for (let i = 0; i < 10; i++) await replaceFile(file, (old) => String(Number(old ?? "0") + 1), { wait: 60_000 });
  });
  await Promise.all(workers);
  assertEquals(await Deno.readTextFile(file), "300");
});

Deno.test("replaceFile: readers see the old or the new, never half", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/list`;
  const sizes = new Set([50_000, 100_000, 150_000]);
  await replaceFile(file, () => "x".repeat(50_000));
  let writing = true;
  const reading = (async () => {
    while (writing) assert(sizes.has((await Deno.readTextFile(file)).length));
  })();
  for (let i = 0; i < 60; i++) await replaceFile(file, () => "x".repeat(50_000 * (1 + i % 3)));
  writing = false;
  await reading;
});

Deno.test("replaceFile: a change that throws leaves everything as it was", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/list`;
  const broken = () => {
    throw new Error("no");
  };
  await failure(() => replaceFile(file, broken));
  assertEquals(Array.from(Deno.readDirSync(folder.path)), []);
  await replaceFile(file, () => "old");
  await failure(() => replaceFile(file, broken));
  assertEquals(await Deno.readTextFile(file), "old");
  assertEquals(Array.from(Deno.readDirSync(folder.path), ({ name }) => name), ["list"]);
});

Deno.test("replaceFile: what a process that died left is taken over; one that lives is waited for, but not for ever", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/list`;
  await Deno.writeTextFile(`${file}.part`, "half of something long that nobody finished");
  await replaceFile(file, () => "new");
  assertEquals(await Deno.readTextFile(file), "new");

  using held = await Deno.open(`${file}.part`, { create: true, write: true });
  await held.lock(true);
  assertStringIncludes(
    await failure(() => replaceFile(file, () => "x", { wait: 50 })),
    "another process is changing it",
  );
  const given = new AbortController();
  const waiting = failure(() => replaceFile(file, () => "x", { signal: given.signal }));
  given.abort(new Error("stopped"));
  assertEquals(await waiting, "stopped");
  assertEquals(await Deno.readTextFile(file), "new");
});

Deno.test("replaceFile: a symbolic link stays one, and what it leads to is replaced", async () => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/real`);
  await Deno.writeTextFile(`${folder.path}/real/list`, "old");
  await Deno.symlink("real/list", `${folder.path}/list`);
  await replaceFile(`${folder.path}/list`, (old) => `${old} and new`);
  assertEquals(await Deno.readTextFile(`${folder.path}/real/list`), "old and new");
  assert((await Deno.lstat(`${folder.path}/list`)).isSymlink);
});

Deno.test({
  name: "replaceFile: a full disk keeps the old file, and no part is left",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    const file = `${disk.path}/list`;
    await replaceFile(file, () => "old");
    assertStringIncludes(await failure(() => replaceFile(file, () => "x".repeat(2_000_000))), "no space left");
    assertEquals(await Deno.readTextFile(file), "old");
    assertEquals(Array.from(Deno.readDirSync(disk.path), ({ name }) => name), ["list"]);
  },
});
