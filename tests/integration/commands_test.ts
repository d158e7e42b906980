import { assert, assertEquals } from "@std/assert";
import { toHex } from "../../lib/base/bytes.ts";
import { createDigest, DIGEST_ALGORITHMS } from "../../lib/base/digest.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Client } from "../../lib/client/client.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { Collector, sourceOf } from "../support/sources.ts";
import { STORAGE_KINDS } from "../support/storages.ts";
import { load, loadText, namesIn, pattern, store } from "../support/stored_files.ts";

const SOME = pattern(3_000_000);

for (const kind of STORAGE_KINDS) {
  const test = (behaviour: string, run: (client: Client, storage: Storage) => Promise<void>) =>
    Deno.test(`${kind.name}: ${behaviour}`, async () => {
      await using opened = await kind.open();
      await using running = await RunningServer.start({ storage: opened.storage });
      await run(await running.client(), opened.storage);
      assertEquals(running.records.filter((record) => record.level === "error"), []);
    });

  test("put and get bring a file over as it is", async (client, storage) => {
    for (const algorithm of DIGEST_ALGORITHMS) {
      const sum = await client.put("/a", sourceOf(SOME), { size: SOME.length, algorithm, modified: 1_600_000_000_000 });
      assertEquals([sum.size, sum.algorithm], [SOME.length, algorithm]);
      assertEquals(await load(storage, "/a"), SOME);
      const got = new Collector();
      const { info, size } = await client.get("/a", { algorithm, open: () => got.sink });
      assertEquals([size, info.size, info.modified], [SOME.length, SOME.length, 1_600_000_000_000]);
      assertEquals(got.bytes, SOME);
    }
  });

  test("get takes any part of a file", async (client, storage) => {
    await store(storage, "/a", SOME);
    for (const [offset, length] of [[0, 0], [0, 1], [1_500_000, null], [2_999_999, 5], [3_000_000, null]] as const) {
      const got = new Collector();
      await client.get("/a", { offset, length, open: () => got.sink });
      assertEquals(got.bytes, SOME.slice(offset, length === null ? undefined : offset + length));
    }
    await assertFails(() => client.get("/a", { offset: 3_000_001, open: () => () => {} }), "BAD_OFFSET");
  });

  test("an empty file is an ordinary one", async (client, storage) => {
    await client.put("/empty", sourceOf(new Uint8Array()), { size: 0 });
    assertEquals((await storage.stat(safePath("/empty"))).size, 0);
    const got = new Collector();
    await client.get("/empty", { open: () => got.sink });
    assertEquals(got.bytes.length, 0);
  });

  test("put of unknown size, in small reads, with missing folders made", async (client, storage) => {
    await client.put("/x/y/z", sourceOf(SOME, 1777), { size: null, parents: true });
    assertEquals(await load(storage, "/x/y/z"), SOME);
    await assertFails(() => client.put("/no/z", sourceOf(SOME), { size: null }), "NOT_FOUND");
    await assertFails(() => client.put("/x/y/z", sourceOf(SOME), { size: null, noReplace: true }), "EXISTS");
    await assertFails(() => client.put("/x/y", sourceOf(SOME), { size: null }), "IS_DIRECTORY");
  });

  test("a source that ends early or late is no put", async (client, storage) => {
    await store(storage, "/a", "old");
    await assertFails(() => client.put("/a", sourceOf(SOME), { size: SOME.length + 1 }), "SOURCE_CHANGED");
    await assertFails(() => client.put("/a", sourceOf(SOME), { size: 5 }), "SIZE_MISMATCH");
    assertEquals([await loadText(storage, "/a"), await namesIn(storage)], ["old", ["a"]]);
  });

  test("list names a folder's entries, recursively all below it", async (client, storage) => {
    await client.mkdir("/d/e", { parents: true });
    await store(storage, "/d/Báo cáo", "123");
    await store(storage, "/d/e/f", "");
    const flat = await listed(client, "/d", false);
    assertEquals(flat.names, ["Báo cáo", "e"]);
    assertEquals((await listed(client, "/d", true)).names, ["Báo cáo", "e", "e/f"]);
    assertEquals((await listed(client, "/", true)).names, ["d", "d/Báo cáo", "d/e", "d/e/f"]);
    assertEquals((await listed(client, "/d/", true)).count, 3);
    await assertFails(() => listed(client, "/d/e/f", false), "NOT_DIRECTORY");
    await assertFails(() => listed(client, "/none", true), "NOT_FOUND");
  });

  test("a listing that is left in the middle leaves the session as it was", async (client, storage) => {
    for (let i = 0; i < 3000; i++) await store(storage, `/${i}-${"x".repeat(200)}`, "");
    for await (const _page of client.list("/")) break;
    assertEquals((await client.stat("/")).type, "directory");
  });

  test("stat, mkdir, move and remove do as they say", async (client, storage) => {
    await client.mkdir("/a");
    await assertFails(() => client.mkdir("/a"), "EXISTS");
    await client.mkdir("/a", { parents: true });
    assertEquals((await client.stat("/a")).type, "directory");
    await store(storage, "/a/x", "x");
    await assertFails(() => client.mkdir("/a/x", { parents: true }), "NOT_DIRECTORY");
    await client.move("/a/x", "/y");
    await store(storage, "/z", "z");
    await assertFails(() => client.move("/y", "/z", { noReplace: true }), "EXISTS");
    await assertFails(() => client.move("/a", "/a/b"), "INTO_ITSELF");
    await client.move("/y", "/z");
    assertEquals(await loadText(storage, "/z"), "x");
    await store(storage, "/a/x", "x");
    await assertFails(() => client.remove("/a"), "NOT_EMPTY");
    assertEquals(await client.remove("/a", { recursive: true }), 2);
    await assertFails(() => client.remove("/a", { recursive: true }), "NOT_FOUND");
    assertEquals(await namesIn(storage), ["z"]);
  });

  test("hash is that of the file, or of a part", async (client, storage) => {
    await store(storage, "/a", SOME);
    const expected = (part: Uint8Array) => {
      const digest = createDigest("sha256");
      digest.update(part);
      return toHex(digest.finish());
    };
    assertEquals(toHex((await client.hash("/a")).digest), expected(SOME));
    const part = await client.hash("/a", { offset: 10, length: 100_000 });
    assertEquals([part.size, toHex(part.digest)], [100_000, expected(SOME.subarray(10, 100_010))]);
    await assertFails(() => client.hash("/"), "IS_DIRECTORY");
  });

  test("odd paths are refused before storage is touched, by every command", async (client) => {
    for (const path of ["/../etc", "/a/../../b", "relative", "/a//b", "/a\0", "/.fsh-part-1"]) {
      for (
        const call of [
          () => client.stat(path),
          () => client.hash(path),
          () => client.mkdir(path),
          () => client.remove(path),
          () => client.move(path, "/x"),
          () => client.move("/x", path),
          () => client.get(path, { open: () => () => {} }),
          () => client.put(path, sourceOf(SOME), { size: null }),
          () => listed(client, path, true),
        ]
      ) {
        const error = await assertFails(call, "PATH_REJECTED");
        assert(error.remote);
      }
    }
  });
}

async function listed(client: Client, path: string, recursive: boolean): Promise<{ names: string[]; count: number }> {
  const names: string[] = [];
  const listing = client.list(path, { recursive });
  for (;;) {
    const page = await listing.next();
    if (page.done) return { names: names.sort(), count: page.value.count };
    names.push(...page.value.map((entry) => entry.name));
  }
}
