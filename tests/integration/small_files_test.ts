import { assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Client } from "../../lib/client/client.ts";
import type { Got } from "../../lib/commands/small_files.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { bytesOf, loadText, namesIn, pattern, store } from "../support/stored_files.ts";

/** What came, as text by path; an error's name, or `too large` for one that comes without content. */
async function getAll(client: Client, paths: readonly string[], limit = 65536): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  await client.getSmall(paths, {
    algorithm: "crc32",
    limit,
    take: (got) => {
      for (const one of got) found[one.path] = outline(one);
      return Promise.resolve();
    },
  });
  return found;
}

function outline(got: Got): string {
  if (got.error !== null) return got.error.error;
  const { content, size } = got.file;
  return content.length === size ? new TextDecoder().decode(content) : "too large";
}

const source = (path: string, text: string) => ({ path, content: bytesOf(text), modified: null, mode: null });
const names = (results: readonly (FshError | null)[]) => results.map((failure) => failure?.error ?? null);

Deno.test("many small files in one request: each comes, or says why not", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  await store(running.storage, "/a", "one");
  await store(running.storage, "/empty", "");
  await store(running.storage, "/big", "x".repeat(100));
  assertEquals(await getAll(client, ["/a", "/nothing", "/empty", "/a/../b", "/big"], 50), {
    "/a": "one",
    "/nothing": "NOT_FOUND",
    "/empty": "",
    "/a/../b": "PATH_REJECTED",
    "/big": "too large",
  });
  assertEquals(await getAll(client, []), {});
});

Deno.test("small files by the thousand arrive in frames that fit the window, with one reader that is slow", async () => {
  const storage = new MemoryStorage();
  const paths = Array.from({ length: 256 }, (_, i) => `/f${i}`);
  await storage.writeSmall(paths.map((path, i) => ({ path: safePath(path), content: pattern(4000 + i) })));
  await using running = await RunningServer.start({ storage });
  const client = await running.client({ limits: { window: 256 * 1024, heartbeat: 0 } });
  let seen = 0;
  await client.getSmall(paths, {
    algorithm: "sha256",
    limit: 65536,
    take: async (got) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (const one of got) {
        assertEquals(one.path, paths[seen]);
        assertEquals(one.error === null && one.file.content, pattern(4000 + seen));
        seen++;
      }
    },
  });
  assertEquals(seen, 256);
});

Deno.test("small files are put together: folders are made, each failure is its own", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  await store(running.storage, "/file", "stays");
  await running.storage.mkdir(safePath("/d"));
  const files = [
    source("/new/deep/a", "a"),
    source("/file/x", "x"),
    source("/d", "d"),
    source("/../b", "b"),
    source("/e", ""),
  ];
  const options = { algorithm: "crc32", parents: true } as const;
  assertEquals(names(await client.putSmall(files, options)), [
    null,
    "NOT_DIRECTORY",
    "IS_DIRECTORY",
    "PATH_REJECTED",
    null,
  ]);
  assertEquals(await loadText(running.storage, "/new/deep/a"), "a");
  assertEquals(await namesIn(running.storage), ["d", "e", "file", "new"]);
  const again = await client.putSmall([source("/e", "more"), source("/missing/x", "x")], {
    algorithm: "none",
    noReplace: true,
  });
  assertEquals(names(again), ["EXISTS", "NOT_FOUND"]);
  assertEquals(again[0]?.subject, "/e");
});

Deno.test("a read-only server takes no small files", async () => {
  await using running = await RunningServer.start({ readOnly: true });
  const client = await running.client();
  assertEquals(names(await client.putSmall([source("/a", "a")], { algorithm: "crc32" })), ["READ_ONLY"]);
  assertEquals(await namesIn(running.storage), []);
});

Deno.test("a small file whose digest differs is refused, the others of its frame are stored", async () => {
  await using running = await RunningServer.start();
  const peer = await running.peer();
  const file = (path: string, digest: number[]) => ({
    path,
    code: 0,
    size: 1,
    modified: null,
    mode: null,
    digest: Uint8Array.from(digest),
    content: bytesOf("a"),
  });
  await peer.send("PUTS", 1, { algorithm: "crc32", options: 0 });
  // CRC-32 of "a".
  const files = [file("/right", [0xe8, 0xb7, 0xbe, 0x43]), file("/wrong", [1, 2, 3, 4])];
  await peer.send("FILES", 1, { files }, true);
  const answer = await peer.expect("STORED");
  assertEquals(answer.fields.outcomes.map(({ code }) => code), [0, new FshError("DIGEST_MISMATCH").code]);
  assertEquals(answer.fin, true);
  assertEquals(await namesIn(running.storage), ["right"]);
});

Deno.test("a GETS that is given up stops reading", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  await store(running.storage, "/a", "one");
  const controller = new AbortController();
  controller.abort(new FshError("INTERRUPTED"));
  const gets = client.getSmall(["/a"], {
    algorithm: "none",
    limit: 10,
    signal: controller.signal,
    take: () => Promise.resolve(),
  });
  await assertFails(() => gets, "INTERRUPTED");
  assertEquals(await getAll(client, ["/a"]), { "/a": "one" });
});

Deno.test("a folder of nothing but empty files goes, too", async () => {
  await using running = await RunningServer.start();
  const client = await running.client();
  await store(running.storage, "/e", "");
  assertEquals(await getAll(client, ["/e"]), { "/e": "" });
});

Deno.test("small files come from a disk over the wire as they are", async () => {
  const folder = await Deno.makeTempDir({ prefix: "fsh-test-" });
  const storage = await LocalStorage.open(folder);
  try {
    await using running = await RunningServer.start({ storage });
    const client = await running.client();
    const files = Array.from({ length: 50 }, (_, i) => source(`/d${i % 5}/f${i}`, `content ${i}`));
    assertEquals(names(await client.putSmall(files, { algorithm: "sha256", parents: true })), files.map(() => null));
    const got = await getAll(client, files.map(({ path }) => path));
    assertEquals(Object.values(got), files.map((_, i) => `content ${i}`));
  } finally {
    storage.close();
    await Deno.remove(folder, { recursive: true });
  }
});
