import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import { assertFails } from "../support/named_errors.ts";
import { localTest, storageTest } from "../support/storages.ts";
import { namesIn, store } from "../support/stored_files.ts";

storageTest("touch sets time and mode of files and folders, each by itself", async (storage) => {
  await store(storage, "/a", "text");
  await storage.mkdir(safePath("/d"));
  for (const path of ["/a", "/d"].map(safePath)) {
    await storage.touch(path, { modified: 1_500_000_000_000 });
    await storage.touch(path, { mode: 0o700 });
    await storage.touch(path, {});
    const { modified, mode } = await storage.stat(path);
    assertEquals([modified, mode], [1_500_000_000_000, 0o700]);
  }
  await assertFails(() => storage.touch(safePath("/no"), { modified: 0 }), "NOT_FOUND");
});

storageTest("what is no link can't be read as one", async (storage) => {
  await store(storage, "/a", "text");
  await storage.mkdir(safePath("/d"));
  for (const path of ["/a", "/d"]) {
    assertEquals((await assertFails(() => storage.readLink(safePath(path)), "NOT_LINK")).subject, path);
  }
  await assertFails(() => storage.readLink(safePath("/no")), "NOT_FOUND");
});

localTest("a symbolic link is made, read and replaced, and replaces nothing else", async (storage, folder) => {
  await storage.symlink(safePath("/l"), "some/where");
  assertEquals(await storage.readLink(safePath("/l")), "some/where");
  await storage.symlink(safePath("/l"), "elsewhere");
  assertEquals(await Deno.readLink(`${folder}/l`), "elsewhere");
  await store(storage, "/a", "text");
  await storage.mkdir(safePath("/d"));
  for (const path of ["/a", "/d", "/"]) await assertFails(() => storage.symlink(safePath(path), "x"), "EXISTS");
  await assertFails(() => storage.symlink(safePath("/l"), "x", { noReplace: true }), "EXISTS");
  assertEquals(await storage.readLink(safePath("/l")), "elsewhere");
  await assertFails(() => storage.symlink(safePath("/no/l"), "x"), "NOT_FOUND");
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["a", "d", "l"]);
  assertEquals(await namesIn(storage), ["a", "d", "l"]);
});

localTest("files have times before 1970, whichever way they are written", async (storage) => {
  for (const modified of [-1, -1500, -86_400_000]) {
    const second = Math.floor(modified / 1000) * 1000;
    const near = async (path: string) => {
      const found = (await storage.stat(safePath(path))).modified ?? 0;
      assertEquals(found === modified || found === second, true, `${found} instead of ${modified}`);
    };
    const writer = await storage.openWrite(safePath("/large"));
    await writer.commit({ modified });
    await near("/large");
    assertEquals(await storage.writeSmall([{ path: safePath("/small"), content: new Uint8Array(1), modified }]), [
      null,
    ]);
    await near("/small");
    await storage.touch(safePath("/small"), { modified });
    await near("/small");
  }
});

localTest("touch follows links that stay inside, and no others", async (storage, folder) => {
  await Deno.writeTextFile(`${folder}/../outside`, "");
  await Deno.utime(`${folder}/../outside`, 1000, 1000);
  await Deno.symlink("../outside", `${folder}/bad`);
  await assertFails(() => storage.touch(safePath("/bad"), { modified: 0, mode: 0 }), "NOT_PERMITTED");
  const { mtime, mode } = await Deno.stat(`${folder}/../outside`);
  assertEquals([mtime?.getTime(), (mode ?? 0) & 0o777], [1_000_000, 0o644]);
});
