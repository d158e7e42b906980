import { assertEquals } from "@std/assert";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { LOCAL_KINDS } from "../support/storages.ts";
import { namesIn, store } from "../support/stored_files.ts";

for (const kind of LOCAL_KINDS) {
  Deno.test({
    name: `${kind.name}: a folder exchanged for a link while its tree is removed takes no other folder's content along`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using opened = await kind.open();
      const { storage, folder } = opened;
      for (const name of ["doomed", "precious"]) {
        await Deno.mkdir(`${folder}/${name}`);
        await store(storage, `/${name}/x`, name);
      }
      await using running = await RunningServer.start({ storage });
      const client = await running.client();
      const remove = LocalStorage.prototype.remove;
      LocalStorage.prototype.remove = async function (path) {
        try {
          await remove.call(this, path);
        } catch (error) {
          LocalStorage.prototype.remove = remove;
          await Deno.rename(`${folder}/doomed`, `${folder}/away`);
          await Deno.symlink("precious", `${folder}/doomed`);
          throw error;
        }
      };
      try {
        await assertFails(() => client.remove("/doomed", { recursive: true }), "NOT_FOUND");
      } finally {
        LocalStorage.prototype.remove = remove;
      }
      assertEquals([await namesIn(storage, "/precious"), await namesIn(storage, "/away")], [["x"], ["x"]]);
    },
  });
}

Deno.test("a tree below a link is removed by the link's name for it, the link stays", async () => {
  for (const kind of LOCAL_KINDS) {
    await using opened = await kind.open();
    await Deno.mkdir(`${opened.folder}/real/tree/deep`, { recursive: true });
    await Deno.symlink("real", `${opened.folder}/link`);
    await using running = await RunningServer.start({ storage: opened.storage });
    const client = await running.client();
    assertEquals(await client.remove("/link/tree", { recursive: true }), 2);
    assertEquals(await namesIn(opened.storage, "/real"), []);
    assertEquals(await namesIn(opened.storage), ["link", "real"]);
  }
  await using running = await RunningServer.start({ storage: new MemoryStorage() });
  const client = await running.client();
  await client.mkdir("/a/b", { parents: true });
  assertEquals(await client.remove("/a", { recursive: true }), 2);
});
