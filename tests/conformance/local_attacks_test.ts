import { assertEquals } from "@std/assert";
import { withDeadline } from "../../lib/base/clock.ts";
import { PART_PREFIX, safePath } from "../../lib/base/virtual_path.ts";
import type { LocalStorage } from "../../lib/storage/local.ts";
import { partName } from "../../lib/storage/part_file.ts";
import { WatchfulFile } from "../../lib/storage/regular_file.ts";
import { assertFails, assertThrowsError } from "../support/named_errors.ts";
import { LOCAL_KINDS } from "../support/storages.ts";
import { listAll, loadText, pattern, store } from "../support/stored_files.ts";

/** What somebody who may write in the served folder, by other means than fsh, may plant there. */
interface Scene {
  readonly storage: LocalStorage;
  readonly root: string;
  /** A file outside that must stay as it is. */
  readonly victim: string;
}

const windows = Deno.build.os === "windows";
const isRoot = !windows && Deno.uid() === 0;
const PATH = safePath("/file");

async function mkfifo(path: string): Promise<void> {
  assertEquals((await new Deno.Command("mkfifo", { args: [path] }).output()).success, true);
}

/** A lease on a file, which lets the system hold up whoever opens it (fcntl(2): F_SETLEASE). */
class Lease implements Disposable {
  readonly #libc = Deno.dlopen("libc.so.6", {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  });
  readonly #descriptor: number;

  constructor(path: string) {
    const { open, fcntl } = this.#libc.symbols;
    this.#descriptor = open(new TextEncoder().encode(path + "\0"), 1);
    // F_SETSIG to SIGURG, which nobody minds; then F_SETLEASE to F_WRLCK.
    assertEquals([fcntl(this.#descriptor, 10, 23), fcntl(this.#descriptor, 1024, 1)], [0, 0]);
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#descriptor);
    this.#libc.close();
  }
}

/** Has `exchange` happen once, right after the runtime failed to remove something. */
async function exchangedAfterRemove(exchange: () => void, work: () => Promise<unknown>): Promise<void> {
  const remove = Deno.remove;
  Deno.remove = async (path, options) => {
    try {
      await remove(path, options);
    } catch (error) {
      Deno.remove = remove;
      exchange();
      throw error;
    }
  };
  try {
    await work();
  } finally {
    Deno.remove = remove;
  }
}

for (const kind of LOCAL_KINDS) {
  const test = (behaviour: string, run: (scene: Scene) => Promise<void>, ignore = windows) =>
    Deno.test({
      name: `${kind.name}: ${behaviour}`,
      ignore,
      fn: async () => {
        await using opened = await kind.open();
        const victim = `${opened.folder.slice(0, opened.folder.lastIndexOf("/"))}/victim`;
        await Deno.writeTextFile(victim, "untouched");
        await Deno.chmod(victim, 0o600);
        const before = await Deno.stat(victim);
        await run({ storage: opened.storage, root: opened.folder, victim });
        const { mode, size, mtime } = await Deno.stat(victim);
        assertEquals({ mode, size, mtime }, { mode: before.mode, size: before.size, mtime: before.mtime });
        assertEquals(await Deno.readTextFile(victim), "untouched");
      },
    });

  const planted: Readonly<Record<string, (part: string, victim: string) => Promise<void>>> = {
    "a symbolic link": (part, victim) => Deno.symlink(victim, part),
    "a hard link": (part, victim) => Deno.link(victim, part),
    "a FIFO": (part) => mkfifo(part),
    "an empty folder": (part) => Deno.mkdir(part),
  };
  for (const [what, plant] of Object.entries(planted)) {
    for (const owner of ["", "me"]) {
      test(`${what} planted as the part file ${owner && "of an owner "}is not written to`, async (scene) => {
        const { storage, root, victim } = scene;
        await plant(`${root}/${partName("file", owner)}`, victim);
        const options = owner === "" ? {} : { part: { owner, continue: true } };
        const put = store(storage, "/file", pattern(300_000), options);
        await withDeadline(put, 5000, () => new Error("a put waits for a FIFO"));
        assertEquals([...Deno.readDirSync(root)].map(({ name }) => name), ["file"]);
        assertEquals((await storage.stat(PATH)).size, 300_000);
        await plant(`${root}/${partName("small")}`, victim);
        const content = pattern(10);
        assertEquals(
          await storage.writeSmall([{ path: safePath("/small"), content, modified: 0, mode: 0o666 }]),
          [null],
        );
        assertEquals((await storage.stat(safePath("/small"))).size, 10);
      });
    }
  }

  test("what can't be removed from the part file's place is passed by", async ({ storage, root }) => {
    for (const owner of ["", "me"]) await Deno.mkdir(`${root}/${partName("file", owner)}/full`, { recursive: true });
    await store(storage, "/file", pattern(300_000));
    assertEquals((await storage.stat(PATH)).size, 300_000);
    await assertFails(() => storage.openWrite(PATH, { part: { owner: "me", continue: false } }), "LOCKED");
  });

  test("no mode that is sent makes a file run as its owner, and none takes that away", async ({ storage, root }) => {
    const content = pattern(10);
    const writer = await storage.openWrite(PATH);
    await writer.commit({ mode: 0o4755 });
    assertEquals(await storage.writeSmall([{ path: safePath("/small"), content, modified: 0, mode: 0o6711 }]), [null]);
    await storage.mkdir(safePath("/folder"));
    await storage.touch(safePath("/folder"), { mode: 0o7777 });
    const modes = async () => {
      const found: string[] = [];
      for (const name of ["file", "small", "folder"]) {
        found.push(((await Deno.stat(`${root}/${name}`)).mode ?? 0).toString(8).slice(-4));
      }
      return found;
    };
    assertEquals(await modes(), ["0755", "0711", "0777"]);
    await Deno.chmod(`${root}/folder`, 0o2755);
    await storage.touch(safePath("/folder"), { mode: 0o700 });
    assertEquals((await modes())[2], "2700");
  });

  test("a file on which somebody has a lease keeps nobody waiting", async ({ storage, root }) => {
    await store(storage, "/file", pattern(300_000));
    using _lease = new Lease(`${root}/file`);
    const begun = performance.now();
    const error = await storage.openRead(PATH).then((reader) => (reader.close(), null), (error) => error);
    assertEquals([performance.now() - begun < 3000, error?.error ?? null], [true, "STORAGE_FAILED"]);
  }, Deno.build.os !== "linux" || kind.name.includes("checked"));

  test("a part file that belongs to somebody else is not gone on with", async ({ storage, root }) => {
    const part = `${root}/${partName("file", "me")}`;
    await Deno.writeTextFile(part, "theirs");
    await Deno.chown(part, 12345, 12345);
    const writer = await storage.openWrite(PATH, { part: { owner: "me", continue: true } });
    assertEquals(writer.offset, 0);
    await writer.commit();
    assertEquals((await Deno.stat(`${root}/file`)).uid, 0);
  }, !isRoot);

  test("permission bits go to what was written, not to what has its name by then", async ({ storage, root, victim }) => {
    const writer = await storage.openWrite(PATH);
    await writer.write(pattern(10));
    const [{ name } = { name: "" }] = Deno.readDirSync(root);
    for (const plant of [() => Deno.symlink(victim, `${root}/${name}`), () => Deno.link(victim, `${root}/${name}`)]) {
      await Deno.remove(`${root}/${name}`).catch(() => {});
      await plant();
      const failed = await writer.commit({ mode: 0o777 }).then(() => false, () => true);
      assertEquals(failed, true);
    }
    await writer.abort();
  });

  test("a folder exchanged for a link while its forgotten parts are removed leads nowhere", async (scene) => {
    const { storage, root, victim } = scene;
    const outside = `${victim}-folder`;
    await Deno.mkdir(outside);
    await Deno.writeTextFile(`${outside}/${PART_PREFIX}theirs`, "x");
    await storage.mkdir(safePath("/a"));
    await Deno.writeTextFile(`${root}/a/${PART_PREFIX}orphan`, "x");
    await exchangedAfterRemove(() => {
      Deno.renameSync(`${root}/a`, `${root}/b`);
      Deno.symlinkSync(outside, `${root}/a`);
    }, () => assertFails(() => storage.remove(safePath("/a")), "LINK_LOOP"));
    assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name), [`${PART_PREFIX}theirs`]);
  });

  test("what lies behind a link that leads out is not told, there or not", async ({ storage, root }) => {
    await Deno.symlink("..", `${root}/up`);
    for (const way of ["/up/victim", "/up/missing", "/up/missing/deep", "/up/victim/deep", "/up/root/x"]) {
      const path = safePath(way);
      const errors = [
        await assertFails(() => storage.stat(path), "NOT_PERMITTED"),
        await assertFails(() => storage.openRead(path), "NOT_PERMITTED"),
        await assertFails(() => storage.openWrite(path), "NOT_PERMITTED"),
        await assertFails(() => storage.remove(path), "NOT_PERMITTED"),
        await assertFails(async () => await storage.resolve(path, { follow: true }), "NOT_PERMITTED"),
      ];
      for (const { detail } of errors) assertEquals(detail, "it leads out of the served folder");
    }
  });

  test("links to links, with dots and slashes too many, lead where they should", async ({ storage, root }) => {
    await Deno.mkdir(`${root}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${root}/a/b/x`, "x");
    await Deno.symlink(".//a/./b//", `${root}/odd`);
    await Deno.symlink("../../odd/../b/x", `${root}/a/b/again`);
    await Deno.symlink("x/", `${root}/a/b/slash`);
    assertEquals([await loadText(storage, "/odd/x"), await loadText(storage, "/odd/again")], ["x", "x"]);
    assertEquals<string>(await storage.resolve(safePath("/odd/again"), { follow: true }), "/a/b/x");
    await assertFails(() => storage.stat(safePath("/a/b/x/y")), "NOT_DIRECTORY");
    await assertFails(() => storage.stat(safePath("/a/b/x/y/z")), "NOT_DIRECTORY");
  });

  test("a file with other names is refused where hard links are not wanted", async ({ root, victim }) => {
    await using opened = await kind.open({ noHardLinks: true });
    const { storage, folder } = opened;
    assertEquals(folder === root, false);
    await Deno.link(victim, `${folder}/linked`);
    await store(storage, "/plain", "plain");
    const [linked, plain] = [safePath("/linked"), safePath("/plain")];
    const room = { take: (bytes: number) => new Uint8Array(bytes) };
    const content = pattern(10);
    await assertFails(() => storage.openRead(linked), "HARD_LINKED");
    await assertFails(() => storage.openWrite(linked), "HARD_LINKED");
    await assertFails(() => storage.openWrite(linked, { size: 5 }), "HARD_LINKED");
    await assertFails(() => storage.touch(linked, { mode: 0o777 }), "HARD_LINKED");
    const read: unknown[] = [];
    for await (const one of storage.readSmall([plain, linked], 1000, room)) {
      read.push(one instanceof Error ? one.error : new TextDecoder().decode(one.content ?? new Uint8Array()));
    }
    assertEquals(read, ["plain", "HARD_LINKED"]);
    const written = await storage.writeSmall([{ path: linked, content }, { path: plain, content }]);
    assertEquals(written.map((error) => error?.error ?? null), ["HARD_LINKED", null]);
    // It is no secret that the name is there, and whoever may change the folder may take the name away.
    assertEquals((await listAll(storage)).get("linked")?.type, "file");
    assertEquals((await storage.stat(linked)).type, "file");
    await storage.rename(linked, safePath("/moved"));
    await storage.remove(safePath("/moved"));
  });
}

Deno.test({
  name: "a FIFO that is put in a file's place after the last look keeps nobody waiting, and a link leads nowhere",
  ignore: windows,
  async fn() {
    const folder = await Deno.makeTempDir();
    await mkfifo(`${folder}/pipe`);
    await Deno.writeTextFile(`${folder}/file`, "content");
    await Deno.symlink("file", `${folder}/link`);
    assertThrowsError(() => new WatchfulFile(`${folder}/pipe`), "NOT_REGULAR");
    assertThrowsError(() => new WatchfulFile(folder), "IS_DIRECTORY");
    let code = "";
    try {
      new WatchfulFile(`${folder}/link`).close();
    } catch (error) {
      if (error instanceof Error && "code" in error) code = String(error.code);
    }
    assertEquals(code, "ELOOP");
    const file = new WatchfulFile(`${folder}/file`);
    const buffer = new Uint8Array(5);
    assertEquals([file.readSync(buffer), await file.read(buffer), await file.read(buffer)], [5, 2, null]);
    file.close();
    await Deno.remove(folder, { recursive: true });
  },
});
