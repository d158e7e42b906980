import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Client } from "../../lib/client/client.ts";
import type { Admission, User } from "../../lib/hooks/event.ts";
import type { Plugin } from "../../lib/hooks/plugin.ts";
import { eventually } from "../support/program.ts";
import { HookedServer, hostsOf, pluginOf } from "../support/hooked_server.ts";
import { assertFails } from "../support/named_errors.ts";
import { sourceOf } from "../support/sources.ts";
import { bytesOf } from "../support/stored_files.ts";
import { silentLog } from "../../lib/base/log.ts";

const TREE = { "/alice/x": "ax", "/alice/d/y": "ay", "/bob/x": "bx", "/alice/out": { target: "../bob/x" } };

/** A plugin that lets everybody in as this user. */
const admitting = (user: Omit<User, "name">): Plugin =>
  pluginOf({ authenticate: (event) => ({ user: { name: event.user?.name ?? "", ...user } }) }, { name: "accounts" });

async function withServer(
  plugins: readonly Plugin[],
  fn: (client: Client, server: HookedServer) => Promise<void>,
): Promise<void> {
  await using server = await HookedServer.start({ tree: TREE, plugins });
  await fn(await server.running.client({ user: "alice" }), server);
}

const put = (client: Client, path: string) => client.put(path, sourceOf(bytesOf("new")), { size: 3 });

Deno.test("a hook that throws refuses, unless its plugin fails open", async () => {
  const hooks = {
    authorize: () => {
      throw new Error("broken");
    },
    filterPath: () => {
      throw new Error("broken");
    },
    content: () => {
      throw new Error("broken");
    },
  };
  await withServer([pluginOf({ authorize: hooks.authorize })], async (client, server) => {
    await assertFails(() => client.stat("/bob/x"), "NOT_PERMITTED");
    assertEquals(server.notes, []);
  });
  await withServer([pluginOf({ filterPath: hooks.filterPath })], async (client, server) => {
    await assertFails(() => client.stat("/bob/x"), "NOT_FOUND");
    assertEquals(server.notes, []);
  });
  await withServer([pluginOf({ content: hooks.content })], async (client, server) => {
    await assertFails(() => put(client, "/bob/x"), "NOT_PERMITTED");
    assertEquals(server.snapshot()["/bob/x"], "bx");
  });
  await withServer([pluginOf(hooks, { failOpen: ["authorize", "filterPath", "content"] })], async (client) => {
    await put(client, "/bob/x");
    assertEquals((await client.stat("/bob/x")).size, 3);
  });
});

Deno.test("a hook that never answers refuses within its deadline, and others go on meanwhile", async () => {
  const silent = pluginOf({
    authorize: ({ path }) => path === "/bob/x" ? new Promise(() => {}) : undefined,
  }, { deadlines: { authorize: 100 } });
  await withServer([silent], async (client) => {
    const begun = performance.now();
    const refused = assertFails(() => client.stat("/bob/x"), "NOT_PERMITTED");
    assertEquals((await client.stat("/alice/x")).size, 2);
    assert(performance.now() - begun < 90);
    await refused;
    assert(performance.now() - begun < 1000);
  });
});

Deno.test("decisions that may be kept are asked for once in a session", async () => {
  let asked = 0;
  const plugin = pluginOf({ authorize: () => void asked++ }, { cache: { authorize: 60 } });
  await withServer([plugin], async (client, server) => {
    for (let i = 0; i < 5; i++) await client.stat("/bob/x");
    assertEquals(asked, 1);
    await client.stat("/alice/x");
    await client.hash("/bob/x");
    assertEquals(asked, 3);
    await (await server.running.client()).stat("/bob/x");
    assertEquals(asked, 4);
  });
});

Deno.test("rules that may be asked ahead are, while the path is looked at; what it becomes they are asked anew", async () => {
  let answer = () => {};
  const seen: string[] = [];
  const maps = pluginOf({
    filterPath: ({ path }) =>
      new Promise((resolve) =>
        answer = () => resolve(path === "/alice/x" ? "/bob/x" : path === "/bob/x" ? null : path)
      ),
  }, { name: "maps" });
  const rules = pluginOf({
    authorize({ path }) {
      seen.push(path);
      return { allow: path !== "/bob/x" };
    },
  }, { name: "rules", ahead: ["authorize"] });
  await withServer([maps, rules], async (client, server) => {
    const asking = async (path: string, expected: readonly string[]) => {
      const stat = client.stat(path).then(({ size }) => size, (error) => error.error);
      await eventually("rules to be asked", 2000, () => seen.length > 0);
      assertEquals(seen, [path]);
      assertEquals(server.notes, []);
      answer();
      const outcome = await stat;
      assertEquals(seen.splice(0), expected);
      return outcome;
    };
    assertEquals(await asking("/alice/d/y", ["/alice/d/y"]), 2);
    assertEquals(server.touched(), ["stat /alice/d/y"]);
    // What was said of the one name is no leave to go where it leads.
    assertEquals(await asking("/alice/x", ["/alice/x", "/bob/x"]), "NOT_PERMITTED");
    assertEquals(await asking("/bob/x", ["/bob/x"]), "NOT_FOUND");
    assertEquals(server.touched(), []);
  });
});

Deno.test("who may only read makes nobody be asked ahead about what would be written", async () => {
  const seen: string[] = [];
  const maps = pluginOf({ filterPath: ({ path }) => Promise.resolve(path) }, { name: "maps" });
  const rules = pluginOf({
    authorize: ({ command }) => void seen.push(command),
  }, { name: "rules", ahead: ["authorize"] });
  await withServer([admitting({ access: "read" }), maps, rules], async (client) => {
    await assertFails(() => put(client, "/bob/x"), "NOT_PERMITTED");
    await client.stat("/bob/x");
    assertEquals(seen, ["stat"]);
  });
});

Deno.test("a home is its user's root: no request gets out of it, and nothing names it", async () => {
  await withServer([admitting({ home: "/alice" })], async (client, server) => {
    assertEquals((await client.stat("/x")).size, 2);
    assertEquals((await assertFails(() => client.stat("/bob/x"), "NOT_FOUND")).subject, "/bob/x");
    assertEquals((await assertFails(() => client.mkdir("/d"), "EXISTS")).subject, "/d");
    assertEquals((await assertFails(() => put(client, "/none/z"), "NOT_FOUND")).subject, "/none/z");
    assertEquals((await assertFails(() => client.move("/x", "/none/z"), "NOT_FOUND")).subject, "/none/z");
    assertEquals((await assertFails(() => client.remove("/"), "NOT_EMPTY")).subject, "/");
    const made = await assertFails(() => client.mkdir("/x/deep/er", { parents: true }), "NOT_DIRECTORY");
    assert(!made.message.includes("alice"), made.message);
    // The link says where it leads; that is in the served folder, but not in the home.
    const led = await assertFails(() => client.get("/out", { open: () => () => {} }), "NOT_PERMITTED");
    assertEquals(led.subject, "/out");
    await assertFails(() => client.symlink("/l", "../bob/x"), "NOT_PERMITTED");
    await assertFails(() => client.symlink("/d/l", "../../bob/x"), "NOT_PERMITTED");
    await client.symlink("/d/l", "../x");
    assertEquals((await client.stat("/d/l")).size, 2);
    const found: string[] = [];
    for await (const page of client.list("/", { recursive: true })) found.push(...page.map(({ name }) => name));
    assertEquals(found.sort(), ["d", "d/l", "d/y", "out", "x"]);
    await put(client, "/d/new");
    assertEquals(server.snapshot()["/alice/d/new"], "new");
    assertEquals(await client.remove("/d", { recursive: true }), 4);
    assertEquals(server.snapshot()["/bob/x"], "bx");
  });
});

Deno.test("a home may lie behind a link of the operator's", async () => {
  const tree = { "/data/alice/x": "x", "/data/bob/x": "b", "/home/alice": { target: "../data/alice" } };
  await using server = await HookedServer.start({ tree, plugins: [admitting({ home: "/home/alice" })] });
  const client = await server.running.client({ user: "alice" });
  assertEquals((await client.stat("/x")).size, 1);
  await put(client, "/d");
  assertEquals(server.snapshot()["/data/alice/d"], "new");
  await Deno.symlink("../bob/x", `${server.folder}/data/alice/out`);
  await assertFails(() => client.stat("/out"), "NOT_PERMITTED");
});

Deno.test("a path can be led elsewhere, and what is there shows under its own name", async () => {
  const plugin = pluginOf({ filterPath: ({ path }) => path.replace(/^\/mine(?=\/|$)/, "/alice") });
  await withServer([plugin], async (client, server) => {
    assertEquals((await client.stat("/mine/x")).size, 2);
    await put(client, "/mine/d/z");
    assertEquals(server.snapshot()["/alice/d/z"], "new");
    assertEquals((await assertFails(() => client.stat("/mine/none"), "NOT_FOUND")).subject, "/mine/none");
    const found: string[] = [];
    for await (const page of client.list("/mine", { recursive: true })) found.push(...page.map(({ name }) => name));
    assertEquals(found.sort(), ["d", "d/y", "d/z", "out", "x"]);
    await client.mkdir("/mine/new/deep", { parents: true });
    assertEquals(server.snapshot()["/alice/new/deep/"], "");
  });
});

Deno.test("a plugin can't lead a path out of the served folder", async () => {
  for (const path of ["/../etc", "/a/./b", "/a//b", "/.fsh-part-1", "/\0"]) {
    await withServer([pluginOf({ filterPath: () => path })], async (client, server) => {
      assertEquals((await assertFails(() => client.stat("/x"), "PATH_REJECTED")).subject, "/x");
      assertEquals(server.notes, []);
    });
  }
});

Deno.test("a user that may only read changes nothing", async () => {
  await withServer([admitting({ access: "read" })], async (client, server) => {
    const before = server.snapshot();
    assertEquals((await client.stat("/bob/x")).size, 2);
    for (
      const attempt of [
        () => put(client, "/bob/x"),
        () => client.mkdir("/new"),
        () => client.remove("/bob/x"),
        () => client.move("/bob/x", "/y"),
        () => client.touch("/bob/x", { modified: 0 }),
        () => client.symlink("/l", "bob"),
      ]
    ) await assertFails(attempt, "NOT_PERMITTED");
    assertEquals(server.snapshot(), before);
  });
});

Deno.test("an account that has expired lets nobody in, and one that expires ends what it began", async () => {
  await using server = await HookedServer.start({ tree: TREE, plugins: [admitting({ expires: Date.now() - 1 })] });
  assertEquals(
    (await assertFails(() => server.running.client({ user: "alice" }), "AUTH_FAILED")).detail,
    "the account has expired",
  );
  await withServer([admitting({ expires: Date.now() + 150 })], async (client) => {
    await client.stat("/bob/x");
    await new Promise((resolve) => setTimeout(resolve, 200));
    assertEquals((await assertFails(() => client.stat("/bob/x"), "NOT_PERMITTED")).detail, "the account has expired");
  });
});

Deno.test("with accounts nobody comes in whom no plugin vouches for; one with a verifier has to prove it", async () => {
  const answers: readonly (Admission | undefined)[] = [
    undefined,
    { allow: false, reason: "go away" },
    { user: { name: "a" }, verifier: "SCRAM-SHA-256$" },
    { user: { name: "a", home: "/../x" } },
  ];
  for (const answer of answers) {
    await using server = await HookedServer.start({ plugins: [pluginOf({ authenticate: () => answer })] });
    await assertFails(() => server.running.client({ user: "alice" }), "AUTH_FAILED");
    // The client may hear of it first.
    await eventually("the end of the session", 2000, () => server.running.records.some(isEnd));
    assertEquals(server.running.records.filter(({ message }) => message === "login refused").length, 1);
  }
});

Deno.test("what is offered: everybody without accounts; with them only what the plugins know", async () => {
  const none = { allow: false, reason: "not so" } as const;
  const cases: [methods: readonly string[] | undefined, message: RegExp][] = [
    [undefined, /not so/],
    [["token", "explain"], /the server asks for token; set FSH_TOKEN/],
    [["no-such-way"], /the server lets nobody in/],
  ];
  for (const [methods, message] of cases) {
    const plugin = pluginOf({ authenticate: () => none }, methods === undefined ? {} : { methods });
    await using server = await HookedServer.start({ plugins: [plugin] });
    assertMatch((await assertFails(() => server.running.client({ user: "alice" }), "AUTH_FAILED")).message, message);
  }
  await using server = await HookedServer.start({ plugins: [pluginOf({ connect: () => undefined })] });
  await (await server.running.client({ user: "alice" })).stat("/");
});

Deno.test("a connection can be refused before the session begins", async () => {
  const asked: string[] = [];
  const plugin = pluginOf({
    connect: ({ session }) => (asked.push(session.address), { allow: asked.length > 1, reason: "not today" }),
  });
  await using server = await HookedServer.start({ plugins: [plugin] });
  assertEquals((await assertFails(() => server.running.client(), "NOT_PERMITTED")).detail, "not today");
  await (await server.running.client()).stat("/");
  assertEquals(asked, ["memory", "memory"]);
});

Deno.test("a server that closes does not wait for a plugin that is asked about a connection", async () => {
  const asked = Promise.withResolvers<void>();
  const plugin = pluginOf({ connect: () => (asked.resolve(), new Promise(() => {})) }, { deadlines: { connect: 300 } });
  await using server = await HookedServer.start({ plugins: [plugin] });
  const connecting = server.running.client().catch(() => {});
  await asked.promise;
  const begun = performance.now();
  await server.running.server.close({ limit: 1 });
  await connecting;
  assert(performance.now() - begun < 250);
  // The deadline's timer goes with it.
  await new Promise((resolve) => setTimeout(resolve, 350));
});

Deno.test("a request ends under the rules that it began with", async () => {
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  let first = 0;
  const old = pluginOf({ content: () => (began.resolve(), first++, gate.promise) });
  await withServer([old], async (client, server) => {
    const running = put(client, "/new");
    await began.promise;
    const deny = pluginOf({ authorize: () => ({ allow: false }), content: () => ({ allow: false }) });
    const gone = server.runner.swap(await hostsOf([deny], silentLog));
    await assertFails(() => client.stat("/"), "NOT_PERMITTED");
    gate.resolve();
    assertEquals((await running).size, 3);
    await gone;
    assertEquals(first, 2);
  });
});

function isEnd({ message }: { readonly message: string }): boolean {
  return message === "session ended";
}
