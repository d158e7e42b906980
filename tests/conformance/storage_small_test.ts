import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import type { SmallFile, Storage } from "../../lib/storage/storage.ts";
import { localTest, storageTest } from "../support/storages.ts";
import { bytesOf, loadText, namesIn, pattern, store } from "../support/stored_files.ts";

async function readAll(storage: Storage, paths: readonly string[], limit = 65536): Promise<(SmallFile | FshError)[]> {
  const found: (SmallFile | FshError)[] = [];
  for await (const one of storage.readSmall(paths.map(safePath), limit, { take: (bytes) => new Uint8Array(bytes) })) {
    found.push(one);
  }
  return found;
}

/** A file's content as text, `null` without content, or the name of the error. */
function outline(found: SmallFile | FshError): string | null {
  if (found instanceof FshError) return found.error;
  return found.content === null ? null : new TextDecoder().decode(found.content);
}

const newFile = (path: string, text: string) => ({ path: safePath(path), content: bytesOf(text) });

storageTest("small files come in order, each whole, and what can't be read by its error", async (storage) => {
  await storage.mkdir(safePath("/d"));
  await store(storage, "/d/a", "one");
  await store(storage, "/b", "two");
  await store(storage, "/empty", "");
  const found = await readAll(storage, ["/d/a", "/nothing", "/b", "/d", "/empty", "/no/such", "/b/below", "/"]);
  assertEquals(found.map(outline), [
    "one",
    "NOT_FOUND",
    "two",
    "IS_DIRECTORY",
    "",
    "NOT_FOUND",
    "NOT_DIRECTORY",
    "IS_DIRECTORY",
  ]);
  assertEquals((found[1] as FshError).subject, "/nothing");
});

storageTest("a small file has the size, time and mode that stat tells", async (storage) => {
  await storage.writeSmall([{ ...newFile("/a", "abc"), modified: 1_700_000_000_123, mode: 0o640 }]);
  const [found] = await readAll(storage, ["/a"]);
  assertEquals((found as SmallFile).info, await storage.stat(safePath("/a")));
  assertEquals((found as SmallFile).info.modified, 1_700_000_000_123);
  assertEquals((found as SmallFile).info.mode, 0o640);
});

storageTest("a file over the limit comes without content, one of its size with all of it", async (storage) => {
  await store(storage, "/a", pattern(1000));
  assertEquals((await readAll(storage, ["/a"], 999)).map(outline), [null]);
  const [whole] = await readAll(storage, ["/a"], 1000);
  assertEquals((whole as SmallFile).content, pattern(1000));
});

storageTest("many small files stay apart", async (storage) => {
  const files = Array.from({ length: 200 }, (_, i) => newFile(`/f${i}`, `content ${i} ${"x".repeat(i * 7)}`));
  assertEquals((await storage.writeSmall(files)).filter((failure) => failure !== null), []);
  const found = await readAll(storage, files.map(({ path }) => path));
  assertEquals(found.map(outline), files.map(({ content }) => new TextDecoder().decode(content)));
});

storageTest("each of many fails by itself, and nothing is left of it", async (storage) => {
  await storage.mkdir(safePath("/d"));
  await store(storage, "/file", "stays");
  const results = await storage.writeSmall([
    newFile("/new", "1"),
    newFile("/missing/a", "2"),
    newFile("/d", "3"),
    newFile("/file/below", "4"),
    newFile("/d/last", "5"),
    newFile("/", "6"),
  ]);
  assertEquals(results.map((failure) => failure?.error ?? null), [
    null,
    "NOT_FOUND",
    "IS_DIRECTORY",
    "NOT_DIRECTORY",
    null,
    "IS_DIRECTORY",
  ]);
  assertEquals(results[1]?.subject, "/missing/a");
  assertEquals(await namesIn(storage), ["d", "file", "new"]);
  assertEquals(await namesIn(storage, "/d"), ["last"]);
});

storageTest("a small file replaces one that is there, unless it must not", async (storage) => {
  await store(storage, "/a", "old");
  assertEquals(await storage.writeSmall([newFile("/a", "new")]), [null]);
  assertEquals(await loadText(storage, "/a"), "new");
  const [refused, made] = await storage.writeSmall([newFile("/a", "newer"), newFile("/b", "b")], { noReplace: true });
  assertEquals([refused?.error, made], ["EXISTS", null]);
  assertEquals(await loadText(storage, "/a"), "new");
  assertEquals(await namesIn(storage), ["a", "b"]);
});

storageTest("two groups with the same file leave one of both", async (storage) => {
  const groups = ["left", "right"].map((text) => [newFile("/same", text), newFile(`/${text}`, text)]);
  const results = await Promise.all(groups.map((files) => storage.writeSmall(files)));
  assertEquals(results.flat(), [null, null, null, null]);
  assert(["left", "right"].includes(await loadText(storage, "/same")));
  assertEquals(await namesIn(storage), ["left", "right", "same"]);
});

localTest("small files are read through links that stay inside, and through no others", async (storage, folder) => {
  await Deno.writeTextFile(`${folder}/../secret`, "secret");
  await Deno.mkdir(`${folder}/../outside`);
  await Deno.writeTextFile(`${folder}/../outside/secret`, "secret");
  await store(storage, "/a", "inside");
  await Deno.symlink("a", `${folder}/good`);
  await Deno.symlink("../secret", `${folder}/bad`);
  await Deno.symlink("../outside", `${folder}/out`);
  const found = await readAll(storage, ["/good", "/bad", "/out/secret", "/a"]);
  assertEquals(found.map(outline), ["inside", "NOT_PERMITTED", "NOT_PERMITTED", "inside"]);
  const written = await storage.writeSmall([newFile("/out/x", "x"), newFile("/bad", "over")]);
  assertEquals(written.map((failure) => failure?.error ?? null), ["NOT_PERMITTED", null]);
  assertEquals(await Deno.readTextFile(`${folder}/../secret`), "secret");
  assertEquals([...Deno.readDirSync(`${folder}/../outside`)].map(({ name }) => name), ["secret"]);
});

localTest("durable groups, large and small, are all in place", async (_, folder) => {
  const storage = await LocalStorage.open(folder, { durability: "file" });
  try {
    for (let i = 0; i < 20; i++) await storage.mkdir(safePath(`/d${i}`));
    const files = Array.from({ length: 100 }, (_, i) => newFile(`/d${i % 20}/f${i}`, `content ${i}`));
    const groups = [files.slice(0, 3), files.slice(3, 60), files.slice(60)];
    const results = await Promise.all(groups.map((some) => storage.writeSmall(some)));
    assertEquals(results.flat().filter((failure) => failure !== null), []);
    assertEquals(
      (await readAll(storage, files.map(({ path }) => path))).map(outline),
      files.map((_, i) => `content ${i}`),
    );
    for (const { name } of Deno.readDirSync(`${folder}/d0`)) assert(!name.startsWith(".fsh-part-"), name);
  } finally {
    storage.close();
  }
});

localTest("a part that a killed transfer left is used up", async (storage, folder) => {
  // As the writer makes it, and as SIGKILL leaves it: without anybody holding its lock.
  const writer = await storage.openWrite(safePath("/a"));
  await writer.write(bytesOf("half"));
  await writer.abort({ keep: true });
  assertEquals([...Deno.readDirSync(folder)].length, 1);
  assertEquals(await storage.writeSmall([newFile("/a", "w")]), [null]);
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a"]);
  assertEquals(await loadText(storage, "/a"), "w");
});
