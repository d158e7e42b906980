import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { loadText, namesIn, store } from "../support/stored_files.ts";

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`${kind.name}: rename ${behaviour}`, async () => {
      await using opened = await kind.open();
      await run(opened.storage);
    });

  test("moves a file between folders and replaces what was there", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await store(storage, "/a/x", "new");
    await store(storage, "/y", "old");
    await storage.rename(safePath("/a/x"), safePath("/y"));
    assertEquals([await loadText(storage, "/y"), await namesIn(storage, "/a")], ["new", []]);
  });

  test("moves a folder with all in it", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await storage.mkdir(safePath("/a/b"));
    await store(storage, "/a/b/x", "deep");
    await storage.rename(safePath("/a"), safePath("/c"));
    assertEquals([await loadText(storage, "/c/b/x"), await namesIn(storage)], ["deep", ["c"]]);
  });

  test("refuses a folder into itself, by its path", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await storage.mkdir(safePath("/a/b"));
    for (const to of ["/a/c", "/a/b/c", "/a/b"]) {
      const error = await assertFails(() => storage.rename(safePath("/a"), safePath(to)), "INTO_ITSELF");
      assertEquals(error.subject, "/a");
    }
    await storage.rename(safePath("/a"), safePath("/ab"));
    assertEquals(await namesIn(storage), ["ab"]);
  });

  test("to its own name changes nothing", async (storage) => {
    await store(storage, "/a", "x");
    await storage.rename(safePath("/a"), safePath("/a"));
    assertEquals(await loadText(storage, "/a"), "x");
  });

  test("refuses with noReplace what is there", async (storage) => {
    await store(storage, "/a", "a");
    await store(storage, "/b", "b");
    await assertFails(() => storage.rename(safePath("/a"), safePath("/b"), { noReplace: true }), "EXISTS");
    assertEquals([await loadText(storage, "/a"), await loadText(storage, "/b")], ["a", "b"]);
    await storage.rename(safePath("/a"), safePath("/c"), { noReplace: true });
    assertEquals(await namesIn(storage), ["b", "c"]);
  });

  test("does not mix up files and folders", async (storage) => {
    await store(storage, "/file", "x");
    await storage.mkdir(safePath("/folder"));
    await assertFails(() => storage.rename(safePath("/file"), safePath("/folder")), "IS_DIRECTORY");
    await assertFails(() => storage.rename(safePath("/folder"), safePath("/file")), "NOT_DIRECTORY");
    assertEquals(await namesIn(storage), ["file", "folder"]);
  });

  test("replaces an empty folder, not a full one", async (storage) => {
    for (const path of ["/a", "/empty", "/full"]) await storage.mkdir(safePath(path));
    await store(storage, "/full/x", "x");
    await assertFails(() => storage.rename(safePath("/a"), safePath("/full")), "NOT_EMPTY");
    await storage.rename(safePath("/a"), safePath("/empty"));
    assertEquals(await namesIn(storage), ["empty", "full"]);
  });

  test("names what is missing: the source, or the target's folder", async (storage) => {
    await store(storage, "/a", "x");
    const source = await assertFails(() => storage.rename(safePath("/no"), safePath("/b")), "NOT_FOUND");
    assertEquals(source.subject, "/no");
    const target = await assertFails(() => storage.rename(safePath("/a"), safePath("/no/b")), "NOT_FOUND");
    assertEquals(target.subject, "/no/b");
    assertEquals(await namesIn(storage), ["a"]);
  });
}
