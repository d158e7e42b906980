import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { randomBytes } from "node:crypto";
import { assertOld, isOld, partFiles, placeOld } from "../support/old_file.ts";
import { FSH, fsh, names, type Outcome, scratch, ServerProcess } from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";

const NO_SPACE = /no space left on the device/;
const TOO_LARGE = new Uint8Array(randomBytes(3_000_000));
const FITS = new Uint8Array(randomBytes(500_000));
/** Files that take two megabytes together. */
const FILES = 200;
const FILE_SIZE = 10_000;

const ignore = !SmallDisk.available();

/** A transfer failed for lack of space, and nothing of it is left. */
async function assertRefused(disk: SmallDisk, before: ReturnType<SmallDisk["free"]>, outcome: Outcome): Promise<void> {
  assertEquals(outcome.code, 1, outcome.err);
  assertMatch(outcome.err, NO_SPACE);
  await assertOld(`${disk.path}/target`);
  assertEquals(names(disk.path), ["target"]);
  assertEquals(disk.free(), before);
}

for (const durability of ["file", "none"]) {
  Deno.test({
    name: `a put onto a full disk, durability ${durability}: the old file and the free space are as before`,
    ignore,
    fn: async () => {
      await using disk = await SmallDisk.create();
      await using local = await scratch();
      await using server = await ServerProcess.start({ folder: disk.path, args: ["--durability", durability] });
      await Deno.writeFile(`${local.path}/large`, TOO_LARGE);
      await placeOld(`${disk.path}/target`);
      const before = disk.free();
      for (const options of [[], ["--resume"]]) {
        await assertRefused(disk, before, await fsh(["put", ...options, `${local.path}/large`, `${server.url}target`]));
      }
      await assertRefused(disk, before, await fsh(["put", "-", `${server.url}target`], { stdin: TOO_LARGE }));
      // The server is none the worse for it.
      const fitting = await fsh(["put", "-", `${server.url}target`], { stdin: FITS });
      assertEquals(fitting.code, 0, fitting.err);
      assertEquals(await Deno.readFile(`${disk.path}/target`), FITS);
    },
  });

  Deno.test({
    name: `a get onto a full disk, durability ${durability}: the old file and the free space are as before`,
    ignore,
    fn: async () => {
      await using disk = await SmallDisk.create();
      await using server = await ServerProcess.start();
      await Deno.writeFile(`${server.folder}/large`, TOO_LARGE);
      await placeOld(`${disk.path}/target`);
      const before = disk.free();
      for (const options of [[], ["--resume"]]) {
        const args = [
          "get",
          "--force",
          ...options,
          "--durability",
          durability,
          `${server.url}large`,
          `${disk.path}/target`,
        ];
        await assertRefused(disk, before, await fsh(args));
      }
    },
  });
}

for (const direction of ["get", "put"] as const) {
  Deno.test({
    name: `a ${direction} of a tree onto a disk that fills: what is there is whole, the rest is not there`,
    ignore,
    fn: async () => {
      await using disk = await SmallDisk.create();
      const empty = disk.free();
      await using local = await scratch();
      await using server = await ServerProcess.start(direction === "put" ? { folder: disk.path } : {});
      const source = direction === "put" ? `${local.path}/tree` : `${server.folder}/tree`;
      await Deno.mkdir(source);
      await Deno.mkdir(`${disk.path}/tree`);
      for (let i = 0; i < FILES; i++) {
        await Deno.writeFile(`${source}/${i}`, randomBytes(FILE_SIZE));
        if (i % 10 === 0) await placeOld(`${disk.path}/tree/${i}`);
      }
      const args = direction === "put" ? [source, server.url] : [`${server.url}tree`, disk.path];
      const { code, err } = await fsh([direction, "-r", ...(direction === "get" ? ["--force"] : []), ...args]);
      assertNotEquals(code, 0);
      assertMatch(err, NO_SPACE);

      let blocks = 0;
      let moved = 0;
      for (const name of names(`${disk.path}/tree`)) {
        const target = `${disk.path}/tree/${name}`;
        blocks += disk.blocks(Deno.statSync(target).size);
        if (isOld(target)) {
          await assertOld(target);
          continue;
        }
        moved++;
        assertEquals(await Deno.readFile(target), await Deno.readFile(`${source}/${name}`), name);
      }
      for (let i = 0; i < FILES; i += 10) assert(Deno.statSync(`${disk.path}/tree/${i}`).isFile);
      assertEquals(partFiles(disk.path), []);
      assertEquals(disk.free().blocks + blocks, empty.blocks);
      assert(moved > 0, "nothing was moved, although there was room");
      console.log(`${moved} of ${FILES} files were moved; exit status ${code}`);
    },
  });

  Deno.test({
    name: `a ${direction} of a tree onto a disk that has room for a few files only`,
    ignore,
    fn: async () => {
      await using disk = await SmallDisk.create({ files: 20 });
      await using local = await scratch();
      await using server = await ServerProcess.start(direction === "put" ? { folder: disk.path } : {});
      const source = direction === "put" ? `${local.path}/tree` : `${server.folder}/tree`;
      await Deno.mkdir(`${source}/deep`, { recursive: true });
      for (let i = 0; i < 40; i++) await Deno.writeTextFile(`${source}/deep/${i}`, `${i}`);
      const before = disk.free().files;
      const args = direction === "put" ? [source, server.url] : [`${server.url}tree`, `${disk.path}/`];
      const { code, err } = await fsh([direction, "-r", ...args]);
      assertNotEquals(code, 0);
      assertMatch(err, NO_SPACE);
      assertEquals(partFiles(disk.path), []);
      const there = names(`${disk.path}/tree/deep`);
      for (const name of there) assertEquals(await Deno.readTextFile(`${disk.path}/tree/deep/${name}`), name);
      // The files, and two folders.
      assertEquals(disk.free().files, before - there.length - 2);
    },
  });
}

Deno.test({
  name: "a get into a full device names it and the cause",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using server = await ServerProcess.start();
    await Deno.writeFile(`${server.folder}/large`, TOO_LARGE);
    const device = await fsh(["get", `${server.url}large`, "/dev/full"]);
    assertEquals(device.code, 1, device.err);
    assertMatch(device.err, /\/dev\/full: no space left on the device/);
    const shell = 'exec "$0" get "$1" - >/dev/full';
    const { code, stderr } = await new Deno.Command("sh", { args: ["-c", shell, FSH, `${server.url}large`] }).output();
    const err = new TextDecoder().decode(stderr);
    assertEquals(code, 1, err);
    assertMatch(err, /standard output: no space left on the device/);
  },
});
