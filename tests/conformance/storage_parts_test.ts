import { assertEquals } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { FileWriter, Storage } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { load, namesIn, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(200_000);
const PATH = safePath("/file");

async function replayed(writer: FileWriter): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  await writer.replay((chunk) => void chunks.push(chunk.slice()));
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** Leaves the first half of SOME behind. */
async function leave(storage: Storage, owner: string): Promise<void> {
  const writer = await storage.openWrite(PATH, part(owner, false));
  await writer.write(SOME.subarray(0, 100_000));
  await writer.abort({ keep: true });
}

function part(owner: string, goOn: boolean) {
  return { part: { owner, continue: goOn } };
}

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (storage: Storage) => Promise<void>) =>
    Deno.test(`${kind.name}: ${behaviour}`, async () => {
      await using opened = await kind.open();
      await run(opened.storage);
    });

  test("what was kept is found by its owner, compared and continued", async (storage) => {
    await leave(storage, "me");
    assertEquals(await namesIn(storage), []);
    const writer = await storage.openWrite(PATH, part("me", true));
    assertEquals(writer.offset, 100_000);
    assertEquals(await replayed(writer), SOME.subarray(0, 100_000));
    await writer.write(SOME.subarray(100_000));
    await writer.commit();
    assertEquals(await load(storage, "/file"), SOME);
  });

  test("what was kept can be thrown away, and nothing of it remains", async (storage) => {
    await leave(storage, "me");
    const writer = await storage.openWrite(PATH, part("me", true));
    await replayed(writer);
    await writer.restart();
    assertEquals(writer.offset, 0);
    await writer.write(SOME.subarray(0, 10));
    await writer.commit();
    assertEquals(await load(storage, "/file"), SOME.subarray(0, 10));
  });

  test("one that begins anew finds nothing, nor does another owner or a later one", async (storage) => {
    await leave(storage, "me");
    for (const options of [part("you", true), part("me", false), part("me", true)]) {
      const writer = await storage.openWrite(PATH, options);
      assertEquals(writer.offset, 0);
      await writer.abort();
    }
  });

  test("a second writer of the same part is LOCKED until the first has ended", async (storage) => {
    const first = await storage.openWrite(PATH, part("me", false));
    const error = await assertFails(() => storage.openWrite(PATH, part("me", true)), "LOCKED");
    assertEquals(error.subject, "/file");
    const other = await storage.openWrite(PATH);
    await other.abort();
    await first.abort({ keep: true });
    await (await storage.openWrite(PATH, part("me", true))).abort();
  });

  test("what is kept leaves the old target as it was", async (storage) => {
    await store(storage, "/file", "old");
    await leave(storage, "me");
    assertEquals(new TextDecoder().decode(await load(storage, "/file")), "old");
  });
}
