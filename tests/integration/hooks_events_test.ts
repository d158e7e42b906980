import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import type { Client } from "../../lib/client/client.ts";
import type { Facts, HookEvent } from "../../lib/hooks/event.ts";
import type { HookName } from "../../lib/hooks/hooks.ts";
import type { Plugin } from "../../lib/hooks/plugin.ts";
import { HookedServer, observer, pluginOf } from "../support/hooked_server.ts";
import { assertFails } from "../support/named_errors.ts";
import { eventually } from "../support/program.ts";
import { pausedSource, sourceOf } from "../support/sources.ts";
import { bytesOf } from "../support/stored_files.ts";

const TREE = { "/alice/x": "content", "/alice/d/y": "y" };
const CRC = "crc32:fec530a9";

class Observed implements AsyncDisposable {
  private constructor(readonly server: HookedServer, readonly seen: readonly HookEvent[]) {}

  static async start(...plugins: Plugin[]): Promise<Observed> {
    const observing = observer();
    const server = await HookedServer.start({ tree: TREE, plugins: [...plugins, observing] });
    return new Observed(server, observing.seen);
  }

  client(): Promise<Client> {
    return this.server.running.client({ user: "alice" });
  }

  /** Events of these hooks so far, once all are told. */
  async events<N extends HookName>(...hooks: N[]): Promise<HookEvent<N>[]> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return this.seen.filter((event): event is HookEvent<N> => (hooks as string[]).includes(event.hook));
  }

  /** What is told of requests, in short. */
  async told(): Promise<unknown[][]> {
    const events = await this.events("committed", "completed", "failed");
    return events.map((event) => {
      const { hook, command, path, target, bytes } = event;
      const { error, digest }: Partial<Pick<Facts, "error" | "digest">> = event;
      return [hook, command, path, target, bytes, error?.name ?? digest].map((value) => value ?? null);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server.close();
  }
}

const home = pluginOf({ authenticate: ({ user }) => ({ user: { name: user?.name ?? "", home: "/alice" } }) }, {
  name: "home",
});

Deno.test("of every request the plugins hear what was changed and that it was answered, under its path in the folder", async () => {
  await using observed = await Observed.start(home);
  const client = await observed.client();
  await client.get("/x", { open: () => () => {} });
  await client.put("/new/deep/z", sourceOf(bytesOf("content")), { size: 7, parents: true });
  await client.move("/new/deep/z", "/z");
  await client.touch("/z", { modified: 0 });
  await client.symlink("/l", "x");
  await client.hash("/x", { algorithm: "crc32" });
  await client.remove("/new", { recursive: true });
  assertEquals(await observed.told(), [
    ["completed", "get", "/alice/x", null, 7, CRC],
    ["committed", "mkdir", "/alice/new", null, null, null],
    ["committed", "mkdir", "/alice/new/deep", null, null, null],
    ["committed", "put", "/alice/new/deep/z", null, 7, CRC],
    ["completed", "put", "/alice/new/deep/z", null, 7, CRC],
    ["committed", "move", "/alice/new/deep/z", "/alice/z", null, null],
    ["completed", "move", "/alice/new/deep/z", "/alice/z", null, null],
    ["committed", "touch", "/alice/z", null, null, null],
    ["completed", "touch", "/alice/z", null, null, null],
    ["committed", "symlink", "/alice/l", "/alice/x", null, null],
    ["completed", "symlink", "/alice/l", "/alice/x", null, null],
    ["completed", "hash", "/alice/x", null, 7, CRC],
    ["committed", "remove", "/alice/new", null, null, null],
    ["completed", "remove", "/alice/new", null, null, null],
  ]);
  for (const event of await observed.events("committed", "completed")) {
    assertEquals([event.user?.name, event.session.address, event.session.id], ["alice", "memory", "1"]);
    assert(event.seconds >= 0 && event.seconds < 10 && event.transfer?.startsWith("1."));
  }
});

Deno.test("of many small files each has its event, and the request as a whole has none", async () => {
  await using observed = await Observed.start(
    home,
    pluginOf({
      authorize: ({ path }) => ({ allow: !path.endsWith("y") }),
    }),
  );
  const client = await observed.client();
  const files = ["/a", "/y", "/no/b"].map((path) => ({
    path,
    content: bytesOf("content"),
    modified: null,
    mode: null,
  }));
  await client.putSmall(files, { algorithm: "crc32" });
  await client.getSmall(["/x", "/d/y", "/none"], { algorithm: "crc32", limit: 100, take: () => Promise.resolve() });
  const told = await observed.told();
  assertEquals(told.filter(([, command]) => command === "puts").sort(), [
    ["committed", "puts", "/alice/a", null, 7, CRC],
    ["completed", "puts", "/alice/a", null, 7, CRC],
    ["failed", "puts", "/alice/no/b", null, 7, "NOT_FOUND"],
    ["failed", "puts", "/alice/y", null, 7, "NOT_PERMITTED"],
  ]);
  assertEquals(told.filter(([, command]) => command === "gets").sort(), [
    ["completed", "gets", "/alice/x", null, 7, CRC],
    ["failed", "gets", "/alice/d/y", null, null, "NOT_PERMITTED"],
    ["failed", "gets", "/alice/none", null, 0, "NOT_FOUND"],
  ]);
});

Deno.test("what fails or is refused is told with its error, whatever stage it came to", async () => {
  await using observed = await Observed.start(
    home,
    pluginOf({
      filterPath: ({ path }) => path.endsWith("hidden") ? null : path,
      authorize: ({ path }) => ({ allow: !path.endsWith("denied"), reason: "no" }),
    }),
  );
  const client = await observed.client();
  await assertFails(() => client.stat("/none"), "NOT_FOUND");
  await assertFails(() => client.stat("/hidden"), "NOT_FOUND");
  await assertFails(() => client.move("/x", "/denied"), "NOT_PERMITTED");
  await assertFails(() => client.stat("/../x"), "PATH_REJECTED");
  assertEquals(await observed.told(), [
    ["failed", "stat", "/alice/none", null, null, "NOT_FOUND"],
    ["failed", "stat", "/alice/hidden", null, null, "NOT_FOUND"],
    ["failed", "move", "/alice/x", "/alice/denied", null, "NOT_PERMITTED"],
    ["failed", "stat", "/../x", null, null, "PATH_REJECTED"],
  ]);
  for (const { error } of await observed.events("failed")) assert(!error?.message.includes("alice"), error?.message);
  const refused = observed.server.running.records.find(({ message, fields }) => {
    return message === "refused" && fields.rule === "authorize";
  });
  const { remote, user, command, path, plugin, reason } = refused?.fields ?? {};
  assert(String(remote).startsWith("memory:"));
  assertEquals([user, command, path, plugin, reason], ["alice", "move", "/alice/denied", "rules", "no"]);
});

Deno.test("a put that breaks off is told with the bytes that came, and how the session ended", async () => {
  let came = 0;
  await using observed = await Observed.start(pluginOf({ content: ({ chunk }) => void (came += chunk.length) }));
  const client = await observed.client();
  const put = client.put("/cut", pausedSource(new Uint8Array(100_000)), { size: null }).catch(() => {});
  await eventually("all that the client sent", 10_000, () => came === 100_000);
  client.session.abort(new FshError("INTERRUPTED"));
  await put;
  await observed.server.running.quiet();
  assertEquals((await observed.told()).map(([hook, , path, , bytes]) => [hook, path, bytes]), [[
    "failed",
    "/cut",
    100_000,
  ]]);
  const [end] = await observed.events("disconnect");
  assertEquals([end?.how, end?.user?.name, end?.session.id], ["abrupt", "alice", "1"]);
  assert((end?.bytes ?? 0) > 100_000 && end?.error !== undefined);
});

Deno.test("a session that ends in order says so", async () => {
  await using observed = await Observed.start();
  await (await observed.client()).close();
  await observed.server.running.quiet();
  const [end] = await observed.events("disconnect");
  assertEquals([end?.how, end?.error], ["graceful", undefined]);
});

Deno.test("a login that fails and a connection that is refused are told without a command", async () => {
  let welcome = true;
  await using observed = await Observed.start(pluginOf({
    connect: () => ({ allow: welcome, reason: "full" }),
    authenticate: () => ({ allow: false, reason: "unknown" }),
  }));
  await assertFails(() => observed.client(), "AUTH_FAILED");
  welcome = false;
  await assertFails(() => observed.client(), "NOT_PERMITTED");
  const told = (await observed.events("failed")).map(({ command, method, user, error }) => {
    return [command, method, user?.name, error?.name];
  });
  assertEquals(told, [
    [undefined, "anonymous", "alice", "AUTH_FAILED"],
    [undefined, undefined, undefined, "NOT_PERMITTED"],
  ]);
});

Deno.test("plugins hear of the log's records, but not of those about plugins that fail", async () => {
  await using observed = await Observed.start(pluginOf({
    authorize: () => {
      throw new Error("broken");
    },
  }));
  await assertFails(async () => await (await observed.client()).stat("/x"), "NOT_PERMITTED");
  const logged = await observed.events("log");
  const messages = logged.map(({ message }) => message);
  assert(messages.includes("session opened") && messages.includes("refused"), messages.join());
  assert(!messages.includes("a plugin failed"));
  assert(observed.server.pluginLog.some(({ message }) => message === "a plugin failed"));
  const refused = logged.find(({ message }) => message === "refused");
  assertEquals([refused?.level, refused?.user?.name, refused?.session.id], ["info", "alice", "1"]);
});
