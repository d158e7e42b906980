import { assertEquals, assertMatch } from "@std/assert";
import { TraceOutput } from "../../../lib/trace/trace_output.ts";
import { LoopDisk } from "../../support/loop_disk.ts";
import { assertFails } from "../../support/named_errors.ts";
import { eventually } from "../../support/program.ts";
import { inMemory } from "../../support/ram.ts";
import { bytesOf } from "../../support/stored_files.ts";

const MAGIC = bytesOf("magic");

async function inFolder(work: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-trace-", ...inMemory(64 * 1024 * 1024) });
  try {
    await work((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const open = (path: string, options: { limit?: number; stopped?: (why: string) => void } = {}) =>
  TraceOutput.open(path, { magic: MAGIC, limit: options.limit ?? 1000, stopped: options.stopped ?? (() => {}) });

Deno.test("a file for its owner only; what is taken is there in the end", () =>
  inFolder(async (path) => {
    const output = await open(path("a"));
    for (const piece of ["magic", " one", " two"]) output.write(bytesOf(piece));
    await output.close();
    assertEquals(await Deno.readTextFile(path("a")), "magic one two");
    if (Deno.build.os !== "windows") assertEquals(((await Deno.stat(path("a"))).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("only its own kind is replaced: no other file, no link, nothing that is being written", () =>
  inFolder(async (path) => {
    await Deno.writeTextFile(path("old"), "magic of an older one", { mode: 0o644 });
    const first = await open(path("old"));
    const error = await assertFails(() => open(path("old")), "TRACE_FAILED");
    assertMatch(error.message, /another fsh is writing it/);
    first.write(bytesOf("magic"));
    await first.close();
    assertEquals(await Deno.readTextFile(path("old")), "magic");
    assertEquals(((await Deno.stat(path("old"))).mode ?? 0) & 0o777, 0o600);
    await Deno.writeTextFile(path("empty"), "");
    await (await open(path("empty"))).close();
    await Deno.writeTextFile(path("other"), "a letter");
    await Deno.symlink(path("old"), path("link"));
    await Deno.mkdir(path("folder"));
    for (const name of ["other", "link", "folder", "missing/a"]) {
      await assertFails(() => open(path(name)), "TRACE_FAILED");
    }
    assertEquals(await Deno.readTextFile(path("other")), "a letter");
  }));

Deno.test("it ends with the last whole piece that the limit has room for, and says so once", () =>
  inFolder(async (path) => {
    const said: string[] = [];
    const output = await open(path("a"), { limit: 10, stopped: (why) => said.push(why) });
    for (const piece of ["magic", "1234", "56", "7"]) output.write(bytesOf(piece));
    assertEquals(output.isStopped, true);
    await output.close();
    assertEquals(await Deno.readTextFile(path("a")), "magic1234");
    assertEquals(said, [`${path("a")}: it is as large as --trace-limit allows`]);
  }));

Deno.test("whoever writes faster than the disk waits for room, and no longer than until there is some", () =>
  inFolder(async (path) => {
    const output = await open(path("a"), { limit: 64 * 1024 * 1024 });
    const piece = new Uint8Array(1024 * 1024).fill(1);
    let waits = 0;
    for (let i = 0; i < 16; i++) {
      output.write(piece);
      const room = output.room();
      if (room) waits++;
      await room;
    }
    assertEquals([output.isStopped, waits > 0], [false, true]);
    await output.close();
    assertEquals((await Deno.stat(path("a"))).size, 16 * 1024 * 1024);
  }));

Deno.test({
  name: "a disk that takes nothing is given up, and what is on it in the end is whole pieces",
  ignore: !LoopDisk.available(),
  async fn() {
    await using disk = await LoopDisk.create(32 * 1024 * 1024);
    const path = `${disk.path}/trace`;
    const said: string[] = [];
    const output = await open(path, { limit: 64 * 1024 * 1024, stopped: (why) => said.push(why) });
    // Of one larger than a chunk, some comes before the rest.
    const piece = new Uint8Array(1_500_001).fill(1);
    output.write(MAGIC);
    await eventually("the first piece on the disk", 10_000, async () => (await Deno.stat(path)).size === MAGIC.length);
    {
      await using _frozen = await disk.freeze();
      for (let i = 0; i < 20 && !output.isStopped; i++) {
        output.write(piece);
        await output.room();
      }
      assertEquals(said, [`${path}: the disk is too slow`]);
      await output.close();
    }
    await eventually("the writer to let go of the file", 10_000, () => openFiles(path) === 0);
    assertEquals((await Deno.stat(path)).size, MAGIC.length);
  },
});

/** How many descriptors this process has open on a file. */
function openFiles(path: string): number {
  const targets = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  });
  return targets.filter((target) => target === path).length;
}
