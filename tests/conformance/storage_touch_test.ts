import { assertEquals } from "@std/assert";
import { type SafePath, safePath } from "../../lib/base/virtual_path.ts";
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

storageTest("no way of writing takes over more than read, write and execute", async (storage) => {
  const [whole, small, folder] = ["/whole", "/small", "/folder"].map(safePath) as [SafePath, SafePath, SafePath];
  const writer = await storage.openWrite(whole, { size: 0 });
  await writer.commit({ mode: 0o7751 });
  assertEquals(await storage.writeSmall([{ path: small, content: new Uint8Array(1), mode: 0o7751 }]), [null]);
  await storage.mkdir(folder);
  await storage.touch(folder, { mode: 0o7751 });
  for (const path of [whole, small, folder]) assertEquals((await storage.stat(path)).mode, 0o751, path);
  await storage.touch(whole, { mode: 0o4700 });
  assertEquals((await storage.stat(whole)).mode, 0o700);
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

localTest("files have times before 1970, whichever way they are written", async (storage, folder) => {
  // The runtime's own stat gives such times without their sign.
  const seconds = (name: string) => {
    const { stdout } = new Deno.Command("stat", { args: ["-c", "%Y", `${folder}/${name}`] }).outputSync();
    return Number(new TextDecoder().decode(stdout));
  };
  for (const modified of [-1, -1500, -86_400_000]) {
    const writer = await storage.openWrite(safePath("/large"));
    await writer.commit({ modified });
    const small = { path: safePath("/small"), content: new Uint8Array(1), modified };
    assertEquals(await storage.writeSmall([small]), [null]);
    await storage.mkdir(safePath(`/d${modified}`));
    await storage.touch(safePath(`/d${modified}`), { modified });
    if (Deno.build.os !== "linux") continue;
    for (const name of ["large", "small", `d${modified}`]) {
      assertEquals(seconds(name), Math.floor(modified / 1000), name);
    }
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
