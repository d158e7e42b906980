import { assert, assertEquals } from "@std/assert";
import { ROOT, safePath } from "../../lib/base/virtual_path.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { listAll, load, loadText, namesIn, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(300_000);

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`${kind.name}: ${behaviour}`, async () => {
      await using opened = await kind.open();
      await run(opened.storage);
    });

  test("a stored file comes back as it was, with its size and time", async (storage) => {
    const writer = await storage.openWrite(safePath("/a"));
    for (let at = 0; at < SOME.length; at += 100_000) await writer.write(SOME.subarray(at, at + 100_000));
    await writer.commit({ modified: 1_700_000_000_000, mode: 0o640 });
    assertEquals(await load(storage, "/a"), SOME);
    assertEquals(await storage.stat(safePath("/a")), {
      name: "a",
      type: "file",
      size: SOME.length,
      modified: 1_700_000_000_000,
      mode: 0o640,
    });
  });

  test("a chunk is free again as soon as write returns", async (storage) => {
    const writer = await storage.openWrite(safePath("/a"));
    const chunk = new Uint8Array([1, 2, 3]);
    const busy = writer.write(chunk);
    chunk.fill(9);
    await busy;
    await writer.commit();
    assertEquals([...await load(storage, "/a")], [1, 2, 3]);
  });

  test("an empty file is a file", async (storage) => {
    await store(storage, "/empty", "");
    assertEquals((await storage.stat(safePath("/empty"))).size, 0);
    assertEquals((await load(storage, "/empty")).length, 0);
    assertEquals((await load(storage, "/empty", { offset: 0, length: 10 })).length, 0);
    await assertFails(() => storage.openRead(safePath("/empty"), { offset: 1 }), "BAD_OFFSET");
  });

  test("reads begin at any offset up to the end, and beyond it is BAD_OFFSET", async (storage) => {
    await store(storage, "/a", SOME);
    for (const offset of [0, 1, 150_000, SOME.length - 1, SOME.length]) {
      assertEquals(await load(storage, "/a", { offset }), SOME.subarray(offset), `offset ${offset}`);
    }
    for (const offset of [SOME.length + 1, 2 ** 33, Number.MAX_SAFE_INTEGER]) {
      const error = await assertFails(() => storage.openRead(safePath("/a"), { offset }), "BAD_OFFSET");
      assertEquals(error.subject, "/a");
    }
  });

  test("a length ends the read, and one beyond the end changes nothing", async (storage) => {
    await store(storage, "/a", SOME);
    for (const [offset, length] of [[0, 0], [0, 1], [100, 200_000], [299_999, 1], [299_999, 2], [5, 1e12]] as const) {
      assertEquals(await load(storage, "/a", { offset, length }), SOME.subarray(offset, offset + length));
    }
    assertEquals(await load(storage, "/a", { offset: 7, length: null }), SOME.subarray(7));
  });

  test("what is missing is NOT_FOUND, by its path", async (storage) => {
    const path = safePath("/no/such");
    for (
      const call of [
        () => storage.stat(path),
        () => storage.openRead(path),
        () => storage.openWrite(path),
        () => storage.mkdir(path),
        () => storage.remove(path),
        () => storage.rename(path, safePath("/b")),
        () => listAll(storage, path),
      ]
    ) {
      assertEquals((await assertFails(call, "NOT_FOUND")).subject, path);
    }
  });

  test("a file is no folder, a folder no file", async (storage) => {
    await store(storage, "/file", "x");
    await storage.mkdir(safePath("/folder"));
    await assertFails(() => listAll(storage, "/file"), "NOT_DIRECTORY");
    await assertFails(() => storage.stat(safePath("/file/x")), "NOT_DIRECTORY");
    await assertFails(() => storage.openWrite(safePath("/file/x")), "NOT_DIRECTORY");
    await assertFails(() => storage.mkdir(safePath("/file/x")), "NOT_DIRECTORY");
    await assertFails(() => storage.openRead(safePath("/folder")), "IS_DIRECTORY");
    await assertFails(() => storage.openWrite(safePath("/folder")), "IS_DIRECTORY");
    await assertFails(() => storage.openRead(ROOT), "IS_DIRECTORY");
    await assertFails(() => storage.openWrite(ROOT), "IS_DIRECTORY");
  });

  test("nothing is visible before the commit, all of it after", async (storage) => {
    const writer = await storage.openWrite(safePath("/a"));
    await writer.write(SOME);
    assertEquals(await namesIn(storage), []);
    await assertFails(() => storage.stat(safePath("/a")), "NOT_FOUND");
    await writer.commit();
    assertEquals(await namesIn(storage), ["a"]);
  });

  test("the old file stays whole until the commit, also for a reader that has it open", async (storage) => {
    await store(storage, "/a", "old content");
    const reader = await storage.openRead(safePath("/a"));
    const writer = await storage.openWrite(safePath("/a"));
    await writer.write(pattern(10));
    assertEquals(await loadText(storage, "/a"), "old content");
    await writer.commit();
    assertEquals(await load(storage, "/a"), pattern(10));
    const buffer = new Uint8Array(100);
    const read = await reader.read(buffer);
    reader.close();
    assertEquals(new TextDecoder().decode(buffer.subarray(0, read ?? 0)), "old content");
  });

  test("an abort leaves the old file and nothing behind", async (storage) => {
    await store(storage, "/a", "old");
    for (const path of ["/a", "/b"]) {
      const writer = await storage.openWrite(safePath(path));
      await writer.write(SOME);
      await writer.abort();
      await writer.abort();
    }
    assertEquals(await namesIn(storage), ["a"]);
    assertEquals(await loadText(storage, "/a"), "old");
  });

  test("two writers of one path: the last commit wins whole", async (storage) => {
    const [one, two] = [await storage.openWrite(safePath("/a")), await storage.openWrite(safePath("/a"))];
    for (let i = 0; i < 10; i++) {
      await one.write(new Uint8Array(1000).fill(1));
      await two.write(new Uint8Array(1000).fill(2));
    }
    await Promise.all([one.commit(), two.commit()]);
    const content = await load(storage, "/a");
    assertEquals(content.length, 10_000);
    assertEquals(new Set(content).size, 1);
    assertEquals(await namesIn(storage), ["a"]);
  });

  test("noReplace refuses at the start, and at the commit what came meanwhile", async (storage) => {
    await store(storage, "/a", "old");
    await assertFails(() => storage.openWrite(safePath("/a"), { noReplace: true }), "EXISTS");
    const writer = await storage.openWrite(safePath("/b"), { noReplace: true });
    await writer.write(pattern(5));
    await store(storage, "/b", "meanwhile");
    await assertFails(() => writer.commit(), "EXISTS");
    await writer.abort();
    assertEquals([await loadText(storage, "/b"), await namesIn(storage)], ["meanwhile", ["a", "b"]]);
    await store(storage, "/c", "new", { noReplace: true });
    assertEquals(await loadText(storage, "/c"), "new");
  });

  test("a target that became a folder meanwhile is refused at the commit", async (storage) => {
    const writer = await storage.openWrite(safePath("/a"));
    await writer.write(pattern(5));
    await storage.mkdir(safePath("/a"));
    await assertFails(() => writer.commit(), "IS_DIRECTORY");
    await writer.abort();
    assertEquals(await namesIn(storage), ["a"]);
  });

  test("mkdir makes one folder, and refuses what is there", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await storage.mkdir(safePath("/a/b"));
    assertEquals((await storage.stat(safePath("/a/b"))).type, "directory");
    await store(storage, "/file", "x");
    await assertFails(() => storage.mkdir(safePath("/a")), "EXISTS");
    await assertFails(() => storage.mkdir(safePath("/file")), "EXISTS");
    await assertFails(() => storage.mkdir(ROOT), "EXISTS");
  });

  test("remove takes files and empty folders only", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await store(storage, "/a/file", "x");
    assertEquals((await assertFails(() => storage.remove(safePath("/a")), "NOT_EMPTY")).subject, "/a");
    await storage.remove(safePath("/a/file"));
    await storage.remove(safePath("/a"));
    assertEquals(await namesIn(storage), []);
  });

  test("the root can be neither removed nor renamed", async (storage) => {
    await storage.mkdir(safePath("/a"));
    await assertFails(() => storage.remove(ROOT), "NOT_PERMITTED");
    await assertFails(() => storage.rename(ROOT, safePath("/b")), "NOT_PERMITTED");
    await assertFails(() => storage.rename(safePath("/a"), ROOT), "NOT_PERMITTED");
    assertEquals((await storage.stat(ROOT)).type, "directory");
  });

  test("5,000 names come in pages, each once", async (storage) => {
    for (let i = 0; i < 5000; i++) {
      const writer = await storage.openWrite(safePath(`/${i}`));
      await writer.commit();
    }
    const seen = new Set<string>();
    let pages = 0;
    for await (const page of storage.list(ROOT)) {
      pages++;
      for (const entry of page.entries) {
        assert(!seen.has(entry.name));
        seen.add(entry.name);
      }
    }
    assertEquals(seen.size, 5000);
    assert(pages > 1);
  });

  test("a listing that is left in the middle lets go", async (storage) => {
    for (let i = 0; i < 10; i++) await store(storage, `/${i}`, "");
    for await (const _page of storage.list(ROOT)) break;
  });
}
