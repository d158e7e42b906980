import { assertEquals, assertStringIncludes } from "@std/assert";
import { fsh, scratch, ServerProcess } from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";

const posix = Deno.build.os !== "windows";
const linux = Deno.build.os === "linux";
/** With the kernel's help, and without it. */
const WAYS = linux ? ["on", "off"] : ["off"];

for (const native of WAYS) {
  const env = { FSH_NATIVE: native };

  Deno.test({
    name:
      `--no-hardlinks (FSH_NATIVE=${native}): a file with another name is refused by name, the rest of a tree comes`,
    ignore: !posix,
    async fn() {
      await using place = await scratch();
      const [folder, outside, back] = ["served", "outside", "back"].map((name) => `${place.path}/${name}`) as [
        string,
        string,
        string,
      ];
      await Deno.mkdir(`${folder}/tree`, { recursive: true });
      await Deno.mkdir(back);
      await Deno.writeTextFile(outside, "outside");
      await Deno.link(outside, `${folder}/tree/linked`);
      await Deno.writeTextFile(`${folder}/tree/plain`, "plain");
      await using server = await ServerProcess.start({ folder, env, args: ["--no-hardlinks"] });
      const put = await fsh(["put", "-q", `${folder}/tree/plain`, `${server.url}tree/linked`]);
      const get = await fsh(["get", "-q", `${server.url}tree/linked`, "-"]);
      const hash = await fsh(["hash", `${server.url}tree/linked`]);
      for (const { code, err } of [put, get, hash]) {
        assertEquals(code, 4, err);
        assertStringIncludes(err, "/tree/linked: has more than one hard link");
      }
      const tree = await fsh(["get", "-q", "-r", `${server.url}tree`, back]);
      assertEquals(tree.code, 7, tree.err);
      assertStringIncludes(tree.err, "linked: has more than one hard link");
      assertEquals([...Deno.readDirSync(`${back}/tree`)].map(({ name }) => name), ["plain"]);
      assertEquals((await fsh(["ls", `${server.url}tree`])).out, "linked\nplain\n");
      assertEquals(await Deno.readTextFile(outside), "outside");
    },
  });

  Deno.test({
    name:
      `--one-file-system (FSH_NATIVE=${native}): what is mounted below is refused, there or not, and left out of trees`,
    ignore: !SmallDisk.available(),
    async fn() {
      await using place = await scratch();
      await using disk = await SmallDisk.create();
      const folder = `${place.path}/served`;
      await Deno.mkdir(`${folder}/mnt`, { recursive: true });
      await Deno.writeTextFile(`${folder}/plain`, "plain");
      await Deno.writeTextFile(`${disk.path}/secret`, "secret");
      const mount = async (...args: string[]) => {
        const { success, stderr } = await new Deno.Command(args[0] ?? "", { args: args.slice(1) }).output();
        assertEquals(success, true, new TextDecoder().decode(stderr));
      };
      await mount("mount", "--bind", disk.path, `${folder}/mnt`);
      try {
        await using server = await ServerProcess.start({ folder, env, args: ["--one-file-system"] });
        const said = new Set<string>();
        for (const name of ["secret", "absent"]) {
          const { code, err } = await fsh(["get", "-q", `${server.url}mnt/${name}`, "-"]);
          assertEquals(code, 4, err);
          said.add(err.replace(name, ""));
        }
        assertEquals([...said].length, 1);
        assertStringIncludes([...said].join(), "or to another file system");
        const put = await fsh(["put", "-q", `${folder}/plain`, `${server.url}mnt/new`]);
        assertEquals(put.code, 4, put.err);
        const tree = await fsh(["get", "-q", "-r", server.url, `${place.path}/back`]);
        assertEquals(tree.code, 0, tree.err);
        assertEquals([...Deno.readDirSync(`${place.path}/back`)].map(({ name }) => name), ["plain"]);
        assertEquals([...Deno.readDirSync(disk.path)].map(({ name }) => name), ["secret"]);
      } finally {
        await mount("umount", `${folder}/mnt`);
      }
    },
  });

  Deno.test({
    name: `/proc itself, served (FSH_NATIVE=${native}): its magic links lead nowhere`,
    ignore: !linux,
    async fn() {
      // Not `using`, which removes the folder at the end.
      const server = await ServerProcess.start({ folder: "/proc", env, args: ["--read-only"] });
      try {
        const own = `${server.url}${server.pid}`;
        for (
          const way of ["root/etc/passwd", "cwd", "exe", "root", "fd/0", "fd/1", "task/" + server.pid + "/root/etc"]
        ) {
          const { code, out, err } = await fsh(["get", "-q", `${own}/${way}`, "-"]);
          assertEquals([code === 4 || code === 5, out], [true, ""], `${way}: ${err}`);
        }
        assertStringIncludes((await fsh(["ls", own])).out, "status");
      } finally {
        await server.stop();
      }
    },
  });
}
