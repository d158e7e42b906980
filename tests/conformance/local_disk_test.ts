import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { withDeadline } from "../../lib/base/clock.ts";
import { PART_PREFIX, safePath } from "../../lib/base/virtual_path.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { assertFails } from "../support/named_errors.ts";
import { LOCAL_KINDS, localStorage } from "../support/storages.ts";
import { listAll, loadText, namesIn, pattern, store } from "../support/stored_files.ts";

const root = Deno.build.os !== "windows" && Deno.uid() === 0;
const DAY = 24 * 60 * 60 * 1000;

async function run(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** What really lies in a folder, part files too. */
function really(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

/** Does something as if so many milliseconds had gone by. */
async function later<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const now = Date.now;
  Date.now = () => now() + ms;
  try {
    return await work();
  } finally {
    Date.now = now;
  }
}

/** Whether a file system of a megabyte can be mounted here. */
async function canMount(): Promise<boolean> {
  if (!root || Deno.build.os !== "linux") return false;
  const folder = await Deno.makeTempDir();
  const mounted = await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder);
  if (mounted) await run("umount", folder);
  await Deno.remove(folder);
  return mounted;
}

const mountable = await canMount();

for (const kind of LOCAL_KINDS) {
  const test = (behaviour: string, fn: (storage: LocalStorage, folder: string) => Promise<void>, ignore = false) =>
    Deno.test({
      name: `${kind.name}: ${behaviour}`,
      ignore,
      fn: async () => {
        await using opened = await kind.open();
        await fn(opened.storage, opened.folder);
      },
    });

  test("a FIFO is listed and never opened", async (storage, folder) => {
    assertEquals(await run("mkfifo", `${folder}/pipe`), true);
    assertEquals((await listAll(storage)).get("pipe")?.type, "other");
    assertEquals((await storage.stat(safePath("/pipe"))).type, "other");
    const hang = () => new Error("a FIFO was opened, which waits for a writer");
    await assertFails(() => withDeadline(storage.openRead(safePath("/pipe")), 5000, hang), "NOT_REGULAR");
    await assertFails(() => listAll(storage, "/pipe"), "NOT_DIRECTORY");
    assertEquals(await storage.sweep(new AbortController().signal), 0);
    await store(storage, "/pipe", "now a file");
    assertEquals(await loadText(storage, "/pipe"), "now a file");
  }, Deno.build.os === "windows");

  test("a part file lies beside its target while it is written, and is never listed", async (storage, folder) => {
    const writer = await storage.openWrite(safePath("/a"));
    await writer.write(pattern(10));
    assertEquals(really(folder).map((name) => name.slice(0, PART_PREFIX.length)), [PART_PREFIX]);
    assertEquals(await namesIn(storage), []);
    await writer.commit();
    assertEquals(really(folder), ["a"]);
  });

  test("part files that nobody has touched for a day are swept, others stay", async (storage, folder) => {
    await storage.mkdir(safePath("/deep"));
    for (const name of [`${PART_PREFIX}a`, `deep/${PART_PREFIX}b`, "mine"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "x");
      // What the file says of its own time does not count: a put sets it, maybe to years ago.
      await Deno.utime(`${folder}/${name}`, 0, 0);
    }
    const writer = await storage.openWrite(safePath("/live"));
    const sweep = () => storage.sweep(new AbortController().signal);
    assertEquals(await later(DAY - 60_000, sweep), 0);
    assertEquals(await later(DAY + 60_000, sweep), 2);
    assertEquals([really(folder).length, really(`${folder}/deep`)], [3, []]);
    await writer.commit();
    assertEquals(really(folder), ["deep", "live", "mine"]);
  });

  test("while a folder of many names is swept others are served", async (storage, folder) => {
    for (let i = 0; i < 3000; i++) Deno.openSync(`${folder}/${i}`, { create: true, write: true }).close();
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    assertEquals(await storage.sweep(new AbortController().signal), 0);
    clearInterval(timer);
    assertGreaterOrEqual(turns, 4);
  });

  test(
    "a folder that holds only forgotten part files can be removed, one with a live one cannot",
    async (storage, folder) => {
      await storage.mkdir(safePath("/a"));
      await Deno.writeTextFile(`${folder}/a/${PART_PREFIX}orphan`, "x");
      const writer = await storage.openWrite(safePath("/a/live"));
      await assertFails(() => storage.remove(safePath("/a")), "NOT_EMPTY");
      await writer.abort();
      await storage.remove(safePath("/a"));
      assertEquals(really(folder), []);
    },
  );

  test("a folder made private is NOT_PERMITTED", async (storage, folder) => {
    await storage.mkdir(safePath("/a"));
    await store(storage, "/a/x", "x");
    await Deno.chmod(`${folder}/a`, 0);
    await assertFails(() => storage.openRead(safePath("/a/x")), "NOT_PERMITTED");
    await assertFails(() => storage.openWrite(safePath("/a/y")), "NOT_PERMITTED");
    await Deno.chmod(`${folder}/a`, 0o700);
  }, root || Deno.build.os === "windows");

  test("a name that is not Unicode is left out and counted", async (storage, folder) => {
    await store(storage, "/good", "x");
    assertEquals(await run("sh", "-c", `touch "$(printf '${folder}/bad\\377')"`), true);
    let skipped = 0;
    const names: string[] = [];
    for await (const page of storage.list(safePath("/"))) {
      skipped += page.skipped;
      names.push(...page.entries.map((entry) => entry.name));
    }
    // The runtime by itself does not tell of such names.
    assertEquals([names, skipped], [["good"], kind.name.includes("descriptors") ? 1 : 0]);
  }, Deno.build.os !== "linux");

  test("a folder that was swapped for a file while it is served is an error, not a crash", async (storage, folder) => {
    await storage.mkdir(safePath("/a"));
    const writer = await storage.openWrite(safePath("/a/x"));
    await writer.write(pattern(10));
    await Deno.remove(`${folder}/a`, { recursive: true });
    await assertFails(() => writer.commit(), "NOT_FOUND");
    await writer.abort();
  });
}

Deno.test({
  name: "local: a full disk is NO_SPACE, and the old file stays",
  ignore: !mountable,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    assertEquals(await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder), true);
    const storage = await LocalStorage.open(folder);
    try {
      await store(storage, "/a", "old");
      const failure = await assertFails(() => store(storage, "/a", pattern(2 * 1024 * 1024)), "NO_SPACE");
      assertEquals(failure.subject, "/a");
      assertEquals([await loadText(storage, "/a"), really(folder)], ["old", ["a"]]);
      await store(storage, "/a", pattern(500_000));
      assertEquals((await storage.stat(safePath("/a"))).size, 500_000);
    } finally {
      storage.close();
      await run("umount", folder);
      await Deno.remove(folder);
    }
  },
});

Deno.test("local: the folder to serve must exist and be a folder", async () => {
  const error = await assertFails(() => LocalStorage.open("/no/such/folder"), "NOT_FOUND");
  assertEquals(error.subject, "/no/such/folder");
  const file = await Deno.makeTempFile();
  await assertFails(() => LocalStorage.open(file), "NOT_DIRECTORY");
  await Deno.remove(file);
});

Deno.test({
  name: "local: no descriptor stays open after all is done",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using opened = await localStorage();
    const count = () => descriptorsBelow(opened.folder);
    const { storage } = opened;
    await storage.mkdir(safePath("/warm"));
    const before = count();
    for (let i = 0; i < 50; i++) {
      await store(storage, "/a", "x");
      await loadText(storage, "/a");
      await listAll(storage);
      await storage.stat(safePath("/a"));
      await assertFails(() => storage.openRead(safePath("/a"), { offset: 5 }), "BAD_OFFSET");
      await assertFails(() => storage.openWrite(safePath("/a"), { noReplace: true }), "EXISTS");
      await assertFails(() => storage.openRead(safePath("/warm")), "IS_DIRECTORY");
      await assertFails(() => storage.openWrite(safePath("/warm")), "IS_DIRECTORY");
      const writer = await storage.openWrite(safePath("/b"));
      await writer.abort();
      for await (const _page of storage.list(safePath("/"))) break;
      await storage.rename(safePath("/a"), safePath("/c"));
      await storage.remove(safePath("/c"));
    }
    assertEquals(count(), before);
  },
});

/** How many of this process's descriptors lead into a folder. */
function descriptorsBelow(folder: string): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(folder)) count++;
    } catch {
      // Closed meanwhile.
    }
  }
  return count;
}
