import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import { assertFails } from "../support/named_errors.ts";
import { LOCAL_KINDS } from "../support/storages.ts";
import { listAll, loadText, namesIn, store } from "../support/stored_files.ts";

for (const kind of LOCAL_KINDS) {
  /** Runs with /root served, and beside it secret.txt and a folder full of things that must stay. */
  const test = (behaviour: string, run: (context: Context) => Promise<void>) =>
    Deno.test({
      name: `${kind.name}: ${behaviour}`,
      ignore: Deno.build.os === "windows",
      fn: async () => {
        await using opened = await kind.open();
        const outside = opened.folder.slice(0, opened.folder.lastIndexOf("/"));
        await Deno.writeTextFile(`${outside}/secret.txt`, "secret");
        await Deno.mkdir(`${outside}/private`);
        await Deno.writeTextFile(`${outside}/private/key`, "key");
        await run({ storage: opened.storage, root: opened.folder, outside });
        assertEquals(await Deno.readTextFile(`${outside}/secret.txt`), "secret");
        assertEquals(await Deno.readTextFile(`${outside}/private/key`), "key");
        assertEquals([...Deno.readDirSync(`${outside}/private`)].length, 1);
      },
    });

  for (const absolute of [true, false]) {
    const way = absolute ? "absolute" : "relative";

    test(`an ${way} link out of the root leads nowhere`, async ({ storage, root, outside }) => {
      const up = absolute ? outside : "..";
      await Deno.symlink(`${up}/secret.txt`, `${root}/file`);
      await Deno.symlink(`${up}/private`, `${root}/folder`);
      const file = safePath("/file");
      await assertFails(() => storage.openRead(file), "NOT_PERMITTED");
      await assertFails(() => storage.stat(file), "NOT_PERMITTED");
      await assertFails(() => storage.stat(safePath("/folder/key")), "NOT_PERMITTED");
      await assertFails(() => storage.openRead(safePath("/folder/key")), "NOT_PERMITTED");
      await assertFails(() => listAll(storage, "/folder"), "NOT_PERMITTED");
      await assertFails(() => storage.openWrite(safePath("/folder/new")), "NOT_PERMITTED");
      await assertFails(() => storage.openWrite(safePath("/folder/key")), "NOT_PERMITTED");
      await assertFails(() => storage.mkdir(safePath("/folder/new")), "NOT_PERMITTED");
      await assertFails(() => storage.remove(safePath("/folder/key")), "NOT_PERMITTED");
      await assertFails(() => storage.rename(safePath("/folder/key"), safePath("/mine")), "NOT_PERMITTED");
      await store(storage, "/mine", "mine");
      await assertFails(() => storage.rename(safePath("/mine"), safePath("/folder/new")), "NOT_PERMITTED");
    });
  }

  test("no error names a path of this machine", async ({ storage, root, outside }) => {
    await Deno.symlink(`${outside}/secret.txt`, `${root}/file`);
    const error = await assertFails(() => storage.openRead(safePath("/file")), "NOT_PERMITTED");
    assertEquals([error.message.includes(outside), error.subject], [false, "/file"]);
  });

  test("a chain of links and a link to a link do not lead out either", async ({ storage, root, outside }) => {
    await Deno.mkdir(`${root}/a`);
    await Deno.symlink("../../private", `${root}/a/up`);
    await Deno.symlink("a/up", `${root}/chain`);
    await assertFails(() => storage.openRead(safePath("/chain/key")), "NOT_PERMITTED");
    await assertFails(() => listAll(storage, "/a/up"), "NOT_PERMITTED");
    await Deno.symlink(outside, `${root}/parent`);
    await assertFails(() => storage.stat(safePath("/parent/secret.txt")), "NOT_PERMITTED");
    await assertFails(() => listAll(storage, "/parent"), "NOT_PERMITTED");
  });

  test("a link that stays inside is followed", async ({ storage, root }) => {
    await Deno.mkdir(`${root}/real`);
    await Deno.symlink("real", `${root}/link`);
    await Deno.symlink("../real/x", `${root}/real/again`);
    await store(storage, "/link/x", "through");
    assertEquals([await loadText(storage, "/real/x"), await loadText(storage, "/real/again")], ["through", "through"]);
    assertEquals((await storage.stat(safePath("/link"))).type, "directory");
    assertEquals(await namesIn(storage, "/link"), ["again", "x"]);
  });

  test("a listing names links as links", async ({ storage, root, outside }) => {
    await Deno.symlink(outside, `${root}/out`);
    await Deno.symlink("nowhere", `${root}/dangling`);
    const found = await listAll(storage);
    assertEquals([found.get("out")?.type, found.get("dangling")?.type], ["symlink", "symlink"]);
    await assertFails(() => storage.stat(safePath("/dangling")), "NOT_FOUND");
  });

  test("remove, rename and a put take the link itself, never what it leads to", async ({ storage, root, outside }) => {
    for (const name of ["a", "b", "c"]) await Deno.symlink(`${outside}/secret.txt`, `${root}/${name}`);
    await Deno.symlink(`${outside}/private`, `${root}/d`);
    await storage.remove(safePath("/a"));
    await storage.remove(safePath("/d"));
    await storage.rename(safePath("/b"), safePath("/moved"));
    await store(storage, "/c", "mine");
    assertEquals(await namesIn(storage), ["c", "moved"]);
    assertEquals(await loadText(storage, "/c"), "mine");
    assertEquals(await Deno.readLink(`${root}/moved`), `${outside}/secret.txt`);
  });

  test("a loop of links is an error, not a hang", async ({ storage, root }) => {
    await Deno.symlink("b", `${root}/a`);
    await Deno.symlink("a", `${root}/b`);
    await assertFails(() => storage.openRead(safePath("/a")), "LINK_LOOP");
    await assertFails(() => storage.stat(safePath("/a/x")), "LINK_LOOP");
  });
}

interface Context {
  readonly storage: Awaited<ReturnType<(typeof LOCAL_KINDS)[0]["open"]>>["storage"];
  readonly root: string;
  readonly outside: string;
}
