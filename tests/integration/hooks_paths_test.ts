import { assert, assertEquals } from "@std/assert";
import type { Client } from "../../lib/client/client.ts";
import type { Asker } from "../../lib/hooks/host.ts";
import type { Hooks } from "../../lib/hooks/plugin.ts";
import { FRAMES, type RequestName } from "../../lib/wire/frames.ts";
import { HookedServer, pluginOf } from "../support/hooked_server.ts";
import { isForbidden, refusalOf, TREE, type Way, WAYS } from "../support/ways.ts";

const REQUESTS = Object.entries(FRAMES).flatMap(([name, row]) => row.on === "opens" ? [name as RequestName] : []);

const DENY: Hooks = {
  authorize: ({ path }) => isForbidden(path) ? { allow: false, reason: "not yours" } : undefined,
};
const HIDE: Hooks = { filterPath: ({ path }) => isForbidden(path) ? null : path };
const REFUSE_ALL: Hooks = { authorize: () => ({ allow: false, reason: "closed" }) };

Deno.test("every request of the table has its ways", () => {
  assertEquals(REQUESTS.filter((name) => !(WAYS[name]?.length > 0)), []);
  assertEquals(REQUESTS.length, Object.keys(WAYS).length);
});

for (const [manner, hooks] of [["denied", DENY], ["hidden", HIDE]] as const) {
  for (const name of REQUESTS) {
    for (const way of WAYS[name]) {
      test(`${name}: a path ${manner}, named by ${way.by}, is never touched`, hooks, async (server, client) => {
        const before = server.snapshot();
        const error = await refusalOf(way, client);
        const due = manner === "denied" ? way.denied : way.hidden;
        assertEquals(
          error?.error ?? null,
          due === undefined ? (manner === "denied" ? "NOT_PERMITTED" : "NOT_FOUND") : due,
        );
        const touched = server.touched();
        assertEquals(touched.filter((note) => isForbidden(note.slice(note.indexOf(" ") + 1))), []);
        // A path that leads there is as good as the path itself.
        assertEquals(touched.filter((note) => note.includes("link")), []);
        assertEquals(server.snapshot(), changed(before, way));
        if (manner === "hidden") assert(!String(error?.message).includes("sub/secret"), error?.message);
      });
    }
  }
}

for (const name of REQUESTS) {
  for (const way of WAYS[name]) {
    test(`${name}: refused by ${way.by}, it asks the storage for nothing`, REFUSE_ALL, async (server, client) => {
      const error = await refusalOf(way, client);
      // Of a symbolic link only the text tells before anybody is asked.
      assertEquals(error?.error, "NOT_PERMITTED");
      // A file of several has room for a code only.
      if (name !== "GETS") assertEquals(error?.detail, "closed");
      assertEquals(server.notes, []);
    });
  }
}

test("hidden objects are in no listing", HIDE, async (_, client) => {
  assertEquals(await names(client, "/", false), ["chain", "dirlink", "link", "open", "plain"]);
  const all = await names(client, "/", true);
  assertEquals(all.filter((name) => isForbidden("/" + name)), []);
  assert(all.includes("open/tree/sub") && all.includes("plain/blocked"));
});

test("a folder that may not be listed shows and is not walked", {
  authorize: ({ command, path }) => ({ allow: !(command === "list" && path === "/vault") }),
}, async (server, client) => {
  const all = await names(client, "/", true);
  assertEquals(all.filter((name) => name.startsWith("vault")), ["vault"]);
  assertEquals(server.touched().filter((note) => note.includes("/vault")), []);
});

test("nothing is asked of the storage before its path was authorized", {
  authorize: () => undefined,
  filterPath: () => undefined,
}, async (server, client) => {
  // Allowed for once: what is tried is what is otherwise forbidden.
  for (const name of REQUESTS) for (const way of WAYS[name]) await refusalOf(way, client);
  const seen = new Set<string>();
  for (const note of server.notes) {
    const [operation = "", path = ""] = note.split(" ");
    if (operation === "authorized") seen.add(path);
    else assert(seen.has(path), `${note} before it was authorized`);
  }
}, true);

test("one call asks a plugin about many paths", {}, async () => {
  const calls: number[] = [];
  await using server = await HookedServer.start({
    plugins: [],
    tree: Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`/d/${index}`, "x"])),
  });
  const host = {
    manifest: { ...manifest, hooks: ["authorize", "filterPath"] as const },
    call: (_: unknown, events: readonly unknown[], { answered }: Asker) => {
      calls.push(events.length);
      events.forEach((_, index) => answered(index, { answer: undefined }));
    },
    stop: () => Promise.resolve(),
  };
  await server.runner.swap([host]);
  const client = await server.running.client();
  await client.remove("/d", { recursive: true });
  // Itself twice; then names and their permissions, in pages of 300 that go in calls of 256 at most.
  assertEquals(calls.filter((events) => events > 256), []);
  assert(calls.length <= 6, calls.join());
});

const manifest = {
  name: "counting",
  description: "",
  methods: [],
  permissions: {},
  options: {},
  cache: {},
  deadlines: {},
  failOpen: [],
  ahead: [],
};

/** Runs with a server over TREE and one plugin; with `noted`, authorizations stand among the storage's notes. */
function test(
  behaviour: string,
  hooks: Hooks,
  fn: (server: HookedServer, client: Client) => Promise<void>,
  noted = false,
): void {
  Deno.test({
    name: behaviour,
    ignore: Deno.build.os === "windows",
    fn: async () => {
      const note = (path: string) => server.notes.push(`authorized ${path}`);
      const authorize: Hooks["authorize"] = ({ path }) => void note(path);
      const server = await HookedServer.start({
        tree: TREE,
        plugins: [pluginOf(noted ? { ...hooks, authorize } : hooks)],
      });
      try {
        await fn(server, await server.running.client({ user: "eve" }));
        assertEquals(server.running.records.filter(({ level }) => level === "error"), []);
      } finally {
        await server.close();
      }
    },
  });
}

function changed(before: Record<string, string>, way: Way): Record<string, string> {
  return { ...before, ...Object.fromEntries((way.changes ?? []).map((path) => [path, "new"])) };
}

async function names(client: Client, path: string, recursive: boolean): Promise<string[]> {
  const found: string[] = [];
  for await (const page of client.list(path, { recursive })) found.push(...page.map(({ name }) => name));
  return found.sort();
}
