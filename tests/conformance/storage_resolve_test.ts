import { assertEquals } from "@std/assert";
import { Arena } from "../../lib/base/arena.ts";
import { FshError } from "../../lib/base/errors.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { localTest, storageTest } from "../support/storages.ts";
import { bytesOf, listAll, load, loadText, namesIn, store } from "../support/stored_files.ts";

async function resolved(storage: Storage, path: string, follow = true): Promise<string> {
  return await storage.resolve(safePath(path), { follow });
}

storageTest("without links a path lies where it says, whether it is there or not", async (storage) => {
  await storage.mkdir(safePath("/a"));
  await store(storage, "/a/f", "f");
  for (const path of ["/", "/a", "/a/f", "/a/none", "/a/none/deeper", "/a/f/below", "/none"]) {
    for (const follow of [true, false]) assertEquals(await resolved(storage, path, follow), path);
  }
});

storageTest("the strict view is the same tree", async (storage) => {
  const strict = storage.strict();
  await strict.mkdir(safePath("/a"));
  await store(strict, "/a/f", "f");
  assertEquals([await loadText(storage, "/a/f"), await namesIn(strict, "/a")], ["f", ["f"]]);
  await strict.rename(safePath("/a/f"), safePath("/g"));
  await strict.touch(safePath("/g"), { modified: 0 });
  assertEquals((await strict.stat(safePath("/g"))).modified, 0);
  const written = await strict.writeSmall([{ path: safePath("/h"), content: bytesOf("h") }]);
  assertEquals([written, await loadText(strict, "/h")], [[null], "h"]);
  await strict.remove(safePath("/g"));
  assertEquals(await namesIn(storage), ["a", "h"]);
});

localTest("a path is led to where its links lead, the last one only if that is asked for", async (storage, folder) => {
  await Deno.mkdir(`${folder}/real/sub`, { recursive: true });
  await Deno.writeTextFile(`${folder}/real/f (deleted)`, "f");
  await Deno.symlink("real", `${folder}/link`);
  await Deno.symlink("../link/sub", `${folder}/real/again`);
  await Deno.symlink("nowhere", `${folder}/dangling`);
  assertEquals(await resolved(storage, "/link"), "/real");
  assertEquals(await resolved(storage, "/link", false), "/link");
  assertEquals(await resolved(storage, "/link/again"), "/real/sub");
  assertEquals(await resolved(storage, "/link/again", false), "/real/again");
  assertEquals(await resolved(storage, "/link/again/none/x"), "/real/sub/none/x");
  assertEquals(await resolved(storage, "/link/f (deleted)"), "/real/f (deleted)");
  assertEquals(await resolved(storage, "/dangling"), "/dangling");
});

localTest("a path that leads out or round in a circle is led nowhere", async (storage, folder) => {
  await Deno.symlink("/etc", `${folder}/out`);
  await Deno.symlink("..", `${folder}/up`);
  await Deno.symlink("loop", `${folder}/loop`);
  for (const path of ["/out", "/out/passwd", "/up/x", "/up"]) {
    await assertFails(() => resolved(storage, path), "NOT_PERMITTED");
  }
  await assertFails(() => resolved(storage, "/loop/x"), "LINK_LOOP");
  assertEquals(await resolved(storage, "/out", false), "/out");
});

localTest("the strict view follows no link, whatever it is asked for", async (storage, folder) => {
  await Deno.mkdir(`${folder}/real`);
  await Deno.writeTextFile(`${folder}/real/f`, "f");
  await Deno.writeTextFile(`${folder}/mine`, "mine");
  await Deno.symlink("real", `${folder}/dir`);
  await Deno.symlink("real/f", `${folder}/file`);
  const strict = storage.strict();
  const at = safePath;
  for (
    const attempt of [
      () => strict.stat(at("/file")),
      () => strict.stat(at("/dir")),
      () => strict.stat(at("/dir/f")),
      () => strict.openRead(at("/file")),
      () => strict.openRead(at("/dir/f")),
      () => strict.openWrite(at("/dir/new")),
      () => strict.mkdir(at("/dir/new")),
      () => strict.remove(at("/dir/f")),
      () => strict.rename(at("/dir/f"), at("/g")),
      () => strict.rename(at("/mine"), at("/dir/g")),
      () => strict.touch(at("/file"), { modified: 0 }),
      () => strict.touch(at("/dir/f"), { mode: 0o777 }),
      () => strict.symlink(at("/dir/l"), "f"),
      () => strict.readLink(at("/dir/f")),
      () => listAll(strict, "/dir"),
    ]
  ) await assertFails(attempt, "NOT_FOUND");
  const [failure] = await strict.writeSmall([{ path: at("/dir/new"), content: bytesOf("x") }]);
  assertEquals(failure?.error, "NOT_FOUND");
  using room = new Arena();
  for await (const found of strict.readSmall([at("/file"), at("/dir/f")], 100, room)) {
    assertEquals(found instanceof FshError ? found.error : found.info.name, "NOT_FOUND");
  }
  assertEquals(await namesIn(storage, "/real"), ["f"]);
  // The links themselves are things like others.
  assertEquals(await strict.readLink(at("/file")), "real/f");
  await strict.rename(at("/file"), at("/moved"));
  await strict.remove(at("/moved"));
  await strict.remove(at("/dir"));
  assertEquals([await namesIn(storage), await load(storage, "/real/f")], [["mine", "real"], bytesOf("f")]);
});
