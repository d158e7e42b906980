import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import { assertFails } from "../support/named_errors.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { LOCAL_KINDS } from "../support/storages.ts";
import { listAll, loadText, pattern, store } from "../support/stored_files.ts";

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
}

const available = SmallDisk.available();

for (const kind of LOCAL_KINDS) {
  Deno.test({
    name: `${kind.name}: another file system below the folder is out of bounds where only one is wanted`,
    ignore: !available,
    async fn() {
      await using opened = await kind.open({ oneFileSystem: true });
      const { storage, folder } = opened;
      await Deno.mkdir(`${folder}/mnt`);
      await Deno.mkdir(`${folder}/here`);
      await Deno.symlink("mnt", `${folder}/link`);
      await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", `${folder}/mnt`);
      try {
        await Deno.writeTextFile(`${folder}/mnt/secret`, "secret");
        // Whatever lies there and whatever does not is answered alike.
        for (const way of ["/mnt", "/mnt/secret", "/mnt/missing", "/mnt/a/b", "/link/secret", "/link/missing"]) {
          const path = safePath(way);
          const error = await assertFails(() => storage.stat(path), "NOT_PERMITTED");
          assertEquals(error.detail, "it leads out of the served folder, or to another file system");
          await assertFails(() => storage.openRead(path), "NOT_PERMITTED");
          await assertFails(() => listAll(storage, way), "NOT_PERMITTED");
          await assertFails(() => storage.touch(path, { mode: 0o777 }), "NOT_PERMITTED");
        }
        const room = { take: (bytes: number) => new Uint8Array(bytes) };
        for await (const one of storage.readSmall([safePath("/mnt/secret")], 100, room)) {
          assertEquals(one instanceof Error && one.error, "NOT_PERMITTED");
        }
        const content = pattern(10);
        const [failure] = await storage.writeSmall([{ path: safePath("/mnt/new"), content }]);
        assertEquals(failure?.error, "NOT_PERMITTED");
        await assertFails(() => storage.openWrite(safePath("/mnt/new")), "NOT_PERMITTED");
        await assertFails(() => storage.mkdir(safePath("/mnt/new")), "NOT_PERMITTED");
        await assertFails(() => storage.remove(safePath("/mnt/secret")), "NOT_PERMITTED");
        await assertFails(() => storage.rename(safePath("/mnt/secret"), safePath("/mine")), "NOT_PERMITTED");
        assertEquals((await listAll(storage)).get("mnt"), {
          name: "mnt",
          type: "other",
          size: 0,
          modified: null,
          mode: null,
        });
        assertEquals((await listAll(storage)).get("here")?.type, "directory");
        assertEquals((await listAll(storage)).get("link")?.type, "symlink");
        await store(storage, "/here/x", "x");
        assertEquals(await loadText(storage, "/here/x"), "x");
        assertEquals([...Deno.readDirSync(`${folder}/mnt`)].map(({ name }) => name), ["secret"]);
      } finally {
        await run("umount", `${folder}/mnt`);
      }
    },
  });
}

Deno.test({
  name: "local (descriptors): a bind mount of the same file system counts as another one, and so does a mounted file",
  ignore: !available || !LOCAL_KINDS[0].name.includes("descriptors"),
  async fn() {
    await using opened = await LOCAL_KINDS[0].open({ oneFileSystem: true });
    const { storage, folder } = opened;
    await Deno.mkdir(`${folder}/../outside`);
    await Deno.writeTextFile(`${folder}/../outside/x`, "x");
    await Deno.mkdir(`${folder}/bound`);
    await Deno.writeTextFile(`${folder}/file`, "");
    await run("mount", "--bind", `${folder}/../outside`, `${folder}/bound`);
    await run("mount", "--bind", `${folder}/../outside/x`, `${folder}/file`);
    try {
      await assertFails(() => storage.stat(safePath("/bound/x")), "NOT_PERMITTED");
      await assertFails(() => storage.openRead(safePath("/file")), "NOT_PERMITTED");
      const room = { take: (bytes: number) => new Uint8Array(bytes) };
      for await (const one of storage.readSmall([safePath("/file")], 100, room)) {
        assertEquals(one instanceof Error && one.error, "NOT_PERMITTED");
      }
      const types = [...(await listAll(storage)).values()].map(({ type }) => type);
      assertEquals(types, ["other", "other"]);
    } finally {
      await run("umount", `${folder}/bound`);
      await run("umount", `${folder}/file`);
    }
  },
});
