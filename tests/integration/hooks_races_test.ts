import { assertEquals } from "@std/assert";
import type { Client } from "../../lib/client/client.ts";
import type { Hooks } from "../../lib/hooks/plugin.ts";
import { FRAMES, type RequestName } from "../../lib/wire/frames.ts";
import { HookedServer, pluginOf } from "../support/hooked_server.ts";
import { assertFails } from "../support/named_errors.ts";
import { sourceOf } from "../support/sources.ts";
import { bytesOf } from "../support/stored_files.ts";
import { refusalOf } from "../support/ways.ts";

const TREE = {
  "/pub/f": "public",
  "/pub/d/x": "public",
  "/pub/l": { target: "f" },
  "/vault/f": "secret",
  "/vault/d/x": "secret",
  "/vault/l": { target: "f" },
  "/way": { target: "pub" },
};

/** Each goes by a link, so that there is somebody to ask between the look and the use. */
const REQUESTS: Readonly<Record<RequestName, (client: Client) => Promise<unknown>>> = {
  LIST: (client) => client.list("/way").next(),
  STAT: (client) => client.stat("/way/f"),
  GET: (client) => client.get("/way/f", { open: () => () => {} }),
  HASH: (client) => client.hash("/way/f"),
  READLINK: (client) => client.readLink("/way/l"),
  PUT: (client) => client.put("/way/f", sourceOf(bytesOf("new")), { size: 3, parents: true }),
  MKDIR: (client) => client.mkdir("/way/new/deep", { parents: true }),
  REMOVE: (client) => client.remove("/way/d", { recursive: true }),
  MOVE: (client) => client.move("/way/f", "/mine"),
  SYMLINK: (client) => client.symlink("/way/new", "f"),
  TOUCH: (client) => client.touch("/way/f", { mode: 0o777 }),
  GETS: async (client) => {
    let error: unknown;
    const take = (got: readonly { error: unknown }[]) => Promise.resolve(void (error = got[0]?.error));
    await client.getSmall(["/way/f"], { algorithm: "none", limit: 100, take });
    return error;
  },
  PUTS: async (client) => {
    const file = { path: "/way/f", content: bytesOf("new"), modified: null, mode: null };
    return (await client.putSmall([file], { algorithm: "crc32", parents: true }))[0];
  },
};

async function withServer(
  hooks: (folder: () => string) => Hooks,
  fn: (client: Client, server: HookedServer) => Promise<void>,
): Promise<void> {
  await using server = await HookedServer.start({ tree: TREE, plugins: [pluginOf(hooks(() => server.folder))] });
  await fn(await server.running.client(), server);
}

for (const name of Object.keys(FRAMES).filter((name): name is RequestName => name in REQUESTS)) {
  Deno.test({
    name: `${name}: a link that is put in the way after the look leads nowhere`,
    ignore: Deno.build.os === "windows",
    fn: () => {
      let swapped = false;
      const swap = (folder: string) => {
        if (swapped) return;
        swapped = true;
        Deno.renameSync(`${folder}/pub`, `${folder}/aside`);
        Deno.symlinkSync("vault", `${folder}/pub`);
      };
      return withServer((folder) => ({
        authorize: ({ path }) => path.startsWith("/pub") ? swap(folder()) : undefined,
      }), async (client, server) => {
        const vault = () => Object.entries(server.snapshot()).filter(([path]) => path.startsWith("/vault"));
        const modes = () => Deno.statSync(`${server.folder}/vault/f`).mode;
        const before = [vault(), modes()];
        const error = await refusalOf({ by: "", run: REQUESTS[name] }, client);
        assertEquals([error?.error, swapped], ["NOT_FOUND", true]);
        assertEquals([vault(), modes()], before);
      });
    },
  });
}

Deno.test("what is created between the look and a tree's removal stays", async () => {
  await withServer((folder) => ({
    authorize: ({ path }) => {
      if (path === "/pub/d/x") Deno.writeTextFileSync(`${folder()}/pub/d/new`, "new");
    },
  }), async (client, server) => {
    const error = await assertFails(() => client.remove("/pub", { recursive: true }), "NOT_EMPTY");
    assertEquals(error.subject, "/pub/d");
    const left = Object.keys(server.snapshot()).filter((path) => path.startsWith("/pub"));
    assertEquals(left.includes("/pub/d/new"), true);
  });
});

Deno.test("a folder that became a link while its tree was looked at is not walked into", async () => {
  await withServer((folder) => ({
    authorize: ({ path }) => {
      if (path !== "/pub/d/x") return;
      Deno.renameSync(`${folder()}/pub/d`, `${folder()}/aside`);
      Deno.symlinkSync("../vault/d", `${folder()}/pub/d`);
    },
  }), async (client, server) => {
    await client.remove("/pub", { recursive: true });
    assertEquals(server.snapshot()["/vault/d/x"], "secret");
    assertEquals(server.snapshot()["/aside/x"], "public");
  });
});
