import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { OptionValue } from "../../../lib/plugin.ts";
import { createQuota } from "../../../plugins/quota/quota.ts";
import { UsageTree } from "../../../plugins/quota/usage_tree.ts";
import { failure, hookEvent, type StartedPlugin, startPlugin, temporaryFolder } from "../../support/hook_events.ts";

interface Put {
  readonly user?: string;
  readonly path: string;
  readonly transfer: string;
  readonly size?: number | null;
  readonly session?: string;
}

const about = ({ user = "office", session = "s1" }: Put) => ({ user, session: { id: session } });

/** Whether the answer lets it pass; a refusal must say why. */
function passes(answer: unknown): boolean {
  if (answer === undefined) return true;
  assert(typeof answer === "object" && answer !== null && "allow" in answer && "reason" in answer);
  assertEquals(answer.allow, false);
  assertStringIncludes(String(answer.reason), "quota: ");
  return false;
}

async function authorize(it: StartedPlugin, put: Put): Promise<boolean> {
  const { path, size = null } = put;
  const event = hookEvent("authorize", { ...about(put), command: "put", path, target: undefined, size });
  return passes(await it.call(event));
}

async function chunk(it: StartedPlugin, put: Put, at: { offset: number; length: number }): Promise<boolean> {
  const { path, size = null, transfer } = put;
  const { offset, length } = at;
  const facts = { command: "put", path, size, transfer, offset, chunk: new Uint8Array(length) };
  return passes(await it.call(hookEvent("content", { ...about(put), ...facts })));
}

function committed(it: StartedPlugin, put: Put, bytes: number): Promise<unknown> {
  const { path, transfer } = put;
  const facts = {
    command: "put",
    path,
    target: undefined,
    size: bytes,
    transfer,
    bytes,
    seconds: 1,
    digest: undefined,
  };
  return it.call(hookEvent("committed", { ...about(put), ...facts }));
}

function change(it: StartedPlugin, command: string, paths: { path: string; target?: string }): Promise<unknown> {
  const { path, target } = paths;
  const facts = { command, path, target, size: undefined, bytes: undefined, seconds: 1, digest: undefined };
  return it.call(hookEvent("committed", { user: "office", ...facts }));
}

function failed(it: StartedPlugin, put: Put): Promise<unknown> {
  const { path, transfer } = put;
  const facts = { target: undefined, size: undefined, bytes: undefined, seconds: 1, error: undefined };
  return it.call(hookEvent("failed", { ...about(put), command: "put", path, transfer, ...facts }));
}

/** A whole put of so many bytes. */
async function put(it: StartedPlugin, one: Put, bytes: number): Promise<boolean> {
  if (!await authorize(it, { ...one, size: bytes })) return false;
  const all = { ...one, size: bytes };
  if (!await chunk(it, all, { offset: 0, length: bytes }) || !await chunk(it, all, { offset: bytes, length: 0 })) {
    await failed(it, one);
    return false;
  }
  await committed(it, one, bytes);
  return true;
}

async function started(options: Record<string, OptionValue>) {
  const folder = await temporaryFolder();
  const file = `${folder.path}/usage.json`;
  const clock = { ms: 0 };
  const it = await startPlugin(createQuota(() => clock.ms), { file, ...options });
  const end = async () => {
    await it[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  return { it, file, clock, [Symbol.asyncDispose]: end };
}

Deno.test("quota: a put that announces more than is left is refused before it begins", async () => {
  await using q = await started({ bytes: "1K" });
  assertEquals(await authorize(q.it, { path: "/a", transfer: "1", size: 1025 }), false);
  assertEquals(await authorize(q.it, { path: "/a", transfer: "1", size: 1024 }), true);
  assertEquals(await put(q.it, { path: "/a", transfer: "1" }, 1000), true);
  assertEquals(await authorize(q.it, { path: "/b", transfer: "2", size: 25 }), false);
  assertEquals(await authorize(q.it, { path: "/b", transfer: "2", size: 24 }), true);
  // Nobody else's matter, and reading is free.
  assertEquals(await authorize(q.it, { path: "/b", transfer: "2", size: 1024, user: "backup" }), true);
  const get = hookEvent("authorize", { user: "office", command: "get", path: "/a", target: undefined, size: 9e9 });
  assertEquals(await q.it.call(get), undefined);
});

Deno.test("quota: without an announcement, or with a false one, the chunk that does not fit is refused", async () => {
  await using q = await started({ bytes: "1K" });
  for (const size of [null, 10]) {
    const one = { path: "/a", transfer: `t${size}`, size };
    assertEquals(await authorize(q.it, one), true);
    assertEquals(await chunk(q.it, one, { offset: 0, length: 600 }), true);
    assertEquals(await chunk(q.it, one, { offset: 600, length: 424 }), true);
    assertEquals(await chunk(q.it, one, { offset: 1024, length: 1 }), false);
  }
  // Nothing is left of it.
  assertEquals(await put(q.it, { path: "/a", transfer: "2" }, 1024), true);
});

Deno.test("quota: a put that goes on in the middle counts as a whole", async () => {
  await using q = await started({ bytes: "1K" });
  const one = { path: "/a", transfer: "1" };
  assertEquals(await chunk(q.it, one, { offset: 1000, length: 25 }), false);
  assertEquals(await chunk(q.it, one, { offset: 1000, length: 24 }), true);
  await committed(q.it, one, 24);
  assertEquals(await authorize(q.it, { path: "/b", transfer: "2", size: 1 }), false);
});

Deno.test("quota: puts that run at once don't get more than one by one", async () => {
  await using q = await started({ bytes: "1K", files: 10 });
  const puts = Array.from({ length: 8 }, (_, i) => ({ path: `/${i}`, transfer: `${i}`, size: 200 }));
  assertEquals(await Promise.all(puts.map((one) => authorize(q.it, one))), puts.map(() => true));
  const begun = await Promise.all(puts.map((one) => chunk(q.it, one, { offset: 0, length: 1 })));
  assertEquals(begun.filter((one) => one).length, 5);
  // One fails, and another one has its room.
  await failed(q.it, puts[0] ?? { path: "", transfer: "" });
  const again = { path: "/again", transfer: "again", size: 200 };
  assertEquals(await chunk(q.it, again, { offset: 0, length: 1 }), true);
  assertEquals(await authorize(q.it, { path: "/x", transfer: "x", size: 200 }), false);
});

Deno.test("quota: what a session left behind is free again when it ends, or after a while", async () => {
  await using q = await started({ bytes: "1K" });
  const one = { path: "/a", transfer: "1", size: 1024 };
  const other = { path: "/b", transfer: "2", size: 1024 };
  assertEquals(await chunk(q.it, { ...one, session: "gone" }, { offset: 0, length: 1 }), true);
  assertEquals(await authorize(q.it, other), false);
  const disconnect = { session: { id: "gone" }, how: "abrupt", bytes: 1, seconds: 1, error: undefined } as const;
  await q.it.call(hookEvent("disconnect", disconnect));
  assertEquals(await chunk(q.it, other, { offset: 0, length: 1 }), true);
  assertEquals(await authorize(q.it, one), false);
  q.clock.ms += 10 * 60_000 + 1;
  assertEquals(await authorize(q.it, one), true);
});

Deno.test("quota: what is replaced, removed or moved is counted once, for whoever put it last", async () => {
  await using q = await started({ bytes: "1K", files: 2 });
  assertEquals(await put(q.it, { path: "/d/a", transfer: "1" }, 1000), true);
  assertEquals(await put(q.it, { path: "/d/a", transfer: "2" }, 1020), true);
  assertEquals(await put(q.it, { path: "/d/b", transfer: "3" }, 5), false);
  assertEquals(await put(q.it, { path: "/d/b", transfer: "3" }, 4), true);
  assertEquals(await put(q.it, { path: "/d/c", transfer: "4" }, 0), false);
  assertEquals(await put(q.it, { path: "/d/b", transfer: "4" }, 4), true);
  await change(q.it, "move", { path: "/d", target: "/e/f" });
  assertEquals(await put(q.it, { path: "/d/a", transfer: "5" }, 0), false);
  // Another user takes one over.
  assertEquals(await put(q.it, { path: "/e/f/b", transfer: "6", user: "backup" }, 1024), true);
  assertEquals(await put(q.it, { path: "/d/c", transfer: "7" }, 4), true);
  await change(q.it, "remove", { path: "/e" });
  assertEquals(await put(q.it, { path: "/x", transfer: "8" }, 1020), true);
  assertEquals(await put(q.it, { path: "/x", transfer: "9", user: "backup" }, 1024), true);
});

Deno.test("quota: to replace somebody else's file takes room of one's own", async () => {
  await using q = await started({ bytes: "1K" });
  assertEquals(await put(q.it, { path: "/a", transfer: "1" }, 1000), true);
  assertEquals(await put(q.it, { path: "/b", transfer: "2", user: "backup" }, 1000), true);
  assertEquals(await put(q.it, { path: "/a", transfer: "3", user: "backup" }, 1000), false);
});

Deno.test("quota: the room of a file that is replaced does not count twice when it goes away meanwhile", async () => {
  await using q = await started({ bytes: "1K" });
  assertEquals(await put(q.it, { path: "/a", transfer: "1" }, 1000), true);
  const over = { path: "/a", transfer: "2", size: 1024 };
  assertEquals(await chunk(q.it, over, { offset: 0, length: 1000 }), true);
  await change(q.it, "move", { path: "/a", target: "/b" });
  assertEquals(await chunk(q.it, over, { offset: 1000, length: 24 }), false);
});

Deno.test("quota: usage outlives a restart; what was there before can be written in by hand", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/usage.json`;
  {
    await using it = await startPlugin(createQuota(), { file, bytes: "1K" });
    assertEquals(await put(it, { path: "/a/__proto__", transfer: "1" }, 1000), true);
    assertEquals(await put(it, { path: "/b", transfer: "2", user: "" }, 1), true);
  }
  const state = JSON.parse(await Deno.readTextFile(file));
  assertEquals(state, { version: 1, before: {}, files: { "/a/__proto__": ["office", 1000], "/b": ["", 1] } });
  assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  state.before.office = { bytes: 20, files: 1 };
  await Deno.writeTextFile(file, JSON.stringify(state));
  {
    await using it = await startPlugin(createQuota(), { file, bytes: "1K", files: 3 });
    assertEquals(await authorize(it, { path: "/c", transfer: "3", size: 5 }), false);
    assertEquals(await put(it, { path: "/c", transfer: "3" }, 4), true);
    assertEquals(await authorize(it, { path: "/d", transfer: "4", size: 0 }), false);
  }
});

Deno.test("quota: the state is written at most once a second, and at the end", async () => {
  await using q = await started({ bytes: "1G" });
  const first = (await Deno.stat(q.file)).ino;
  for (let i = 0; i < 50; i++) await put(q.it, { path: `/${i}`, transfer: `${i}` }, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assertEquals((await Deno.stat(q.file)).ino, first);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assertEquals(Object.keys(JSON.parse(await Deno.readTextFile(q.file)).files).length, 50);
  await change(q.it, "remove", { path: "/7" });
  await q.it.plugin.stop?.();
  assertEquals(Object.keys(JSON.parse(await Deno.readTextFile(q.file)).files).length, 49);
});

Deno.test("quota: a state that can't be read or written is an error at the start, never a fresh beginning", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/usage.json`;
  for (const text of ["", "{", "[]", '{"version":2,"files":{}}', '{"version":1,"files":{"/a":["x",-1]}}']) {
    await Deno.writeTextFile(file, text);
    assertStringIncludes(await failure(() => startPlugin(createQuota(), { file })), "no state of the plugin quota");
    assertEquals(await Deno.readTextFile(file), text);
  }
  const missing = `${folder.path}/none/usage.json`;
  assertStringIncludes(await failure(() => startPlugin(createQuota(), { file: missing })), "not found");
  await Deno.remove(file);
  assertStringIncludes(await failure(() => startPlugin(createQuota(), { file, bytes: "lots" })), "a size such as");
  assertStringIncludes(await failure(() => startPlugin(createQuota(), { file, files: -1 })), "a whole number");
});

Deno.test("quota: the tree agrees with a plain map through many random changes", () => {
  const tree = new UsageTree();
  const plain = new Map<string, { user: string; size: number }>();
  let seed = 7;
  const random = (limit: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;
  const path = () => "/" + Array.from({ length: 1 + random(3) }, () => "abc"[random(3)]).join("/");
  const within = (one: string, folder: string) => one === folder || one.startsWith(folder + "/");
  const drop = (folder: string) => {
    for (const one of [...plain.keys()]) if (within(one, folder)) plain.delete(one);
  };
  for (let step = 0; step < 5_000; step++) {
    const [from, to] = [path(), path()];
    const what = random(3);
    if (what === 0) {
      // A file can't be below a file.
      if ([...plain.keys()].some((one) => one !== from && within(from, one))) continue;
      const file = { user: `u${random(3)}`, size: random(100) };
      drop(from);
      plain.set(from, file);
      tree.put(from, file);
    } else if (what === 1) {
      drop(from);
      tree.remove(from);
    } else {
      if (within(to, from) || within(from, to) || [...plain.keys()].some((one) => within(to, one))) continue;
      const moved = [...plain].filter(([one]) => within(one, from));
      drop(from);
      drop(to);
      for (const [one, file] of moved) plain.set(to + one.slice(from.length), file);
      tree.move(from, to);
    }
    assertEquals(new Map([...tree.entries()].sort()), new Map([...plain].sort()));
    for (const user of ["u0", "u1", "u2"]) {
      const own = [...plain.values()].filter((file) => file.user === user);
      const bytes = own.reduce((sum, { size }) => sum + size, 0);
      assertEquals(tree.usageOf(user), { bytes, files: own.length });
    }
  }
});
