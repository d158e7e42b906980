import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { loadText, namesIn, store } from "../support/stored_files.ts";

/** Names that a file system of Linux allows and that programs stumble over. */
const ODD_NAMES = [
  "B\u00e1o c\u00e1o qu\u00fd 4.txt",
  "Ba\u0301o ca\u0301o quy\u0301 4.txt",
  "😀👩‍👩‍👧.png",
  "two\nlines",
  " spaces around ",
  "-rf",
  "--help",
  "*?[a]",
  "quote\"'`$(x)",
  "back\\slash",
  "tab\t",
  "trailing.",
  "..hidden",
  "...",
  "%2e%2e",
  "\ufeffbom",
  "\ufffd",
  "\u202egnp.exe",
  "x".repeat(255),
  "ế".repeat(85),
];

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test({
      name: `${kind.name}: ${behaviour}`,
      ignore: Deno.build.os !== "linux",
      fn: async () => {
        await using opened = await kind.open();
        await run(opened.storage);
      },
    });

  test("every odd name comes back exactly, as a file and as a folder", async (storage) => {
    for (const name of ODD_NAMES) await store(storage, `/${name}`, name);
    assertEquals(await namesIn(storage), [...ODD_NAMES].sort());
    for (const name of ODD_NAMES) {
      assertEquals(await loadText(storage, `/${name}`), name);
      assertEquals((await storage.stat(safePath(`/${name}`))).name, name);
      await storage.remove(safePath(`/${name}`));
      await storage.mkdir(safePath(`/${name}`));
      await store(storage, `/${name}/${name}`, name);
      assertEquals(await namesIn(storage, `/${name}`), [name]);
    }
  });

  test("NFC and NFD of one word are two files", async (storage) => {
    await store(storage, "/\u00e9", "composed");
    await store(storage, "/e\u0301", "decomposed");
    assertEquals([await loadText(storage, "/\u00e9"), await loadText(storage, "/e\u0301")], ["composed", "decomposed"]);
  });

  test("odd names can be renamed to each other", async (storage) => {
    await store(storage, `/${ODD_NAMES[0]}`, "content");
    for (let i = 1; i < ODD_NAMES.length; i++) {
      await storage.rename(safePath(`/${ODD_NAMES[i - 1]}`), safePath(`/${ODD_NAMES[i]}`));
    }
    assertEquals(await namesIn(storage), [ODD_NAMES.at(-1) ?? ""]);
  });
}
