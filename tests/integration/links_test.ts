import { assertEquals } from "@std/assert";
import type { Client } from "../../lib/client/client.ts";
import { ROOT } from "../../lib/base/virtual_path.ts";
import { uploadTree } from "../../lib/client/upload_tree.ts";
import { staysInside } from "../../lib/commands/link.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";

Deno.test("whether a link stays inside shows in its text", () => {
  const inside: [string, string][] = [["a", "l"], ["../a", "d/l"], ["../../x/y", "a/b/l"], [".", "l"], ["a/./b", "l"]];
  const outside: [string, string][] = [["/a", "l"], ["..", "l"], ["../..", "d/l"], ["", "l"], ["a/..", "l"], [
    "a/../../x",
    "d/l",
  ]];
  for (const [target, path] of inside) assertEquals(staysInside(target, path), true, `${path} -> ${target}`);
  for (const [target, path] of outside) assertEquals(staysInside(target, path), false, `${path} -> ${target}`);
});

Deno.test({
  name: "a server makes and reads links, and none that leads out of its folder",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const outside = await Deno.makeTempDir({ prefix: "fsh-test-" });
    const folder = `${outside}/root`;
    await Deno.mkdir(`${folder}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${outside}/secret`, "secret");
    const storage = await LocalStorage.open(folder);
    try {
      await using running = await RunningServer.start({ storage });
      const client = await running.client();
      await client.symlink("/a/b/up", "../..");
      assertEquals(await client.readLink("/a/b/up"), "../..");
      for (const target of ["/etc", "../../..", "../../../secret", "up/../secret"]) {
        await refused(client, "/a/b/l", target);
      }
      // By its text it stays inside; but what it lies in does not lie where its path says.
      await refused(client, "/a/b/up/l", "../secret");
      assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a"]);
      assertEquals([...Deno.readDirSync(`${folder}/a/b`)].map(({ name }) => name), ["up"]);
      await assertFails(() => client.readLink("/a"), "NOT_LINK");
      await assertFails(() => client.readLink("/../secret"), "PATH_REJECTED");
    } finally {
      storage.close();
      await Deno.remove(outside, { recursive: true });
    }
  },
});

async function refused(client: Client, path: string, target: string): Promise<void> {
  const error = await assertFails(() => client.symlink(path, target), "NOT_PERMITTED");
  assertEquals(error.subject, path, `${path} -> ${target}`);
}

Deno.test({
  name: "a link of a tree is put although its folder is still under way",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folders = [await Deno.makeTempDir({ prefix: "fsh-test-" }), await Deno.makeTempDir({ prefix: "fsh-test-" })];
    const [here = "", there = ""] = folders;
    await Deno.mkdir(`${here}/folder`);
    await Deno.symlink("target", `${here}/folder/link`);
    const [own, served] = [await LocalStorage.open(here), await LocalStorage.open(there)];
    try {
      await using running = await RunningServer.start({ storage: served });
      const client = await running.client();
      makesLate("/copy/folder", client);
      const failures: string[] = [];
      const none = () => {};
      const events = { begin: none, moved: none, resumed: none, done: none, planned: none, unchanged: none };
      await uploadTree(client, { storage: own, path: ROOT }, "/copy", {
        events: { ...events, skipped: none, failed: (path, error) => failures.push(`${path}: ${error.message}`) },
        links: "copy",
      });
      assertEquals(failures, []);
      assertEquals(await Deno.readLink(`${there}/copy/folder/link`), "target");
    } finally {
      own.close();
      served.close();
      for (const folder of folders) await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Has a client make a folder, for the first time, only once it has tried to make a link. */
function makesLate(folder: string, client: Client): void {
  const [mkdir, symlink] = [client.mkdir.bind(client), client.symlink.bind(client)];
  const tried = Promise.withResolvers<void>();
  client.symlink = (path, target) => symlink(path, target).finally(tried.resolve);
  let late = true;
  client.mkdir = async (path, options) => {
    const waits = path === folder && late;
    if (waits) late = false;
    if (waits) await tried.promise;
    await mkdir(path, options);
  };
}

Deno.test("a read-only server makes no links and sets no times", async () => {
  await using running = await RunningServer.start({ readOnly: true });
  const client = await running.client();
  await assertFails(() => client.symlink("/l", "a"), "READ_ONLY");
  await assertFails(() => client.touch("/", { modified: 0 }), "READ_ONLY");
});
