import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Plugin } from "../../../lib/hooks/plugin.ts";
import { asked, chunkFacts, hookSet, session } from "../../support/plugins.ts";

const silent: Plugin = { name: "silent", hooks: { authorize() {}, filterPath() {}, content() {}, authenticate() {} } };
const allows: Plugin = {
  name: "allows",
  hooks: { authorize: () => ({ allow: true }), content: () => ({ allow: true }) },
};
const refuses: Plugin = {
  name: "refuses",
  hooks: { authorize: () => ({ allow: false, reason: "no" }), content: () => ({ allow: false, reason: "no" }) },
};
const breaks = () => {
  throw new Error("broken");
};
const REFUSED = { allow: false, reason: "no", by: "refuses" };
const FAILED = { allow: false, reason: "a rule of this server could not be asked" };

Deno.test("authorize: the first opinion counts, whatever comes after it", async () => {
  for (const order of [[silent, allows, refuses], [allows, silent, refuses]]) {
    const { set } = await hookSet(...order);
    assertEquals(await set.rule("authorize", [asked("/a")]), [{ allow: true, by: "allows" }]);
  }
  const { set } = await hookSet(silent, refuses, allows);
  assertEquals(await set.rule("authorize", [asked("/a")]), [REFUSED]);
});

Deno.test("no opinion at all allows, and names nobody; no plugin and nothing to ask are fine", async () => {
  const { set } = await hookSet(silent, silent);
  assertEquals(await set.rule("authorize", [asked("/a")]), [{ allow: true, by: null }]);
  assertEquals(await set.rule("authorize", []), []);
  assertEquals(
    await set.admit({ session: session(), method: "token", token: "t", password: undefined, key: undefined }),
    null,
  );
  const none = await hookSet();
  assertEquals(await none.set.rule("authorize", [asked("/a")]), [{ allow: true, by: null }]);
  assertEquals([none.set.has("authorize"), set.has("authorize"), set.has("connect")], [false, true, false]);
});

Deno.test("a plugin is asked for what is still open only, all of it at once", async () => {
  const seen: string[] = [];
  const keys: Plugin = {
    name: "keys",
    hooks: { authorize: ({ path }) => path.endsWith(".key") ? { allow: false, reason: "no" } : undefined },
  };
  const rest: Plugin = { name: "rest", hooks: { authorize: ({ path }) => void seen.push(path) } };
  const { set } = await hookSet(keys, rest);
  const rulings = await set.rule("authorize", ["/a", "/b.key", "/c"].map((path) => asked(path)));
  assertEquals(rulings.map(({ allow }) => allow), [true, false, true]);
  assertEquals(seen, ["/a", "/c"]);
});

Deno.test("content: any refusal counts, an agreement before it does not", async () => {
  const { set } = await hookSet(allows, refuses, allows);
  assertEquals(await set.rule("content", [chunkFacts()]), [REFUSED]);
  const agreed = await hookSet(allows, silent);
  assertEquals(await agreed.set.rule("content", [chunkFacts()]), [{ allow: true, by: null }]);
});

Deno.test("filterPath: each plugin gets what the one before made of it; hidden stays hidden", async () => {
  const seen: string[] = [];
  const prefix = (name: string): Plugin => ({ name, hooks: { filterPath: ({ path }) => `/${name}${path}` } });
  const hide: Plugin = {
    name: "hide",
    hooks: { filterPath: ({ path }) => path.includes("secret") ? null : undefined },
  };
  const last: Plugin = {
    name: "last",
    hooks: {
      filterPath({ path }) {
        seen.push(path);
        return path;
      },
    },
  };
  const { set } = await hookSet(prefix("a"), hide, prefix("b"), last);
  const facts = ["/x", "/secret"].map((path) => ({ session: session(), command: "list", path }));
  assertEquals(await set.map(facts), [{ path: "/b/a/x", by: "b" }, { path: null, by: "hide" }]);
  assertEquals(seen, ["/b/a/x"]);
  const same = await hookSet(silent, last);
  assertEquals(await same.set.map(facts.slice(0, 1)), [{ path: "/x", by: null }]);
});

Deno.test("authenticate: the first who knows the user, or refuses", async () => {
  const knows: Plugin = { name: "knows", hooks: { authenticate: () => ({ user: { name: "ann", access: "read" } }) } };
  const denies: Plugin = { name: "denies", hooks: { authenticate: () => ({ allow: false, reason: "banned" }) } };
  const facts = { session: session(), method: "token", token: "t", password: undefined, key: undefined };
  const first = await hookSet(silent, knows, denies);
  assertEquals(await first.set.admit(facts), { admission: { user: { name: "ann", access: "read" } }, by: "knows" });
  const second = await hookSet(denies, knows);
  assertEquals(await second.set.admit(facts), { admission: { allow: false, reason: "banned" }, by: "denies" });
});

Deno.test("a throw, a rejection and a missed deadline refuse, and are logged with the plugin's name", async () => {
  const hang = new Promise<undefined>(() => {});
  const bad: Record<string, () => never | Promise<undefined>> = {
    throws: () => {
      throw new Error("broken");
    },
    rejects: () => Promise.reject(new Error("broken")),
    hangs: () => hang,
  };
  for (const [name, hook] of Object.entries(bad)) {
    const plugin: Plugin = {
      name,
      deadlines: { authorize: 30, filterPath: 30, authenticate: 30, content: 30 },
      hooks: { authorize: hook, filterPath: hook, authenticate: hook, content: hook },
    };
    const { set, records } = await hookSet(plugin, allows);
    assertEquals(await set.rule("authorize", [asked("/a"), asked("/b")]), [{ ...FAILED, by: name }, {
      ...FAILED,
      by: name,
    }]);
    assertEquals(await set.rule("content", [chunkFacts()]), [{ ...FAILED, by: name }]);
    assertEquals(await set.map([{ session: session(), command: "get", path: "/a" }]), [{ path: null, by: name }]);
    const facts = { session: session(), method: "token", token: "t", password: undefined, key: undefined };
    assertEquals(await set.admit(facts), { admission: { allow: false }, by: name });
    const [record] = records;
    assertEquals([record?.level, record?.fields.plugin, record?.fields.unhooked], ["error", name, true]);
    assertMatch(String(record?.fields.reason), name === "hangs" ? /no answer within 30 ms/ : /broken/);
  }
});

Deno.test("the signal is aborted when the deadline has passed, and not before", async () => {
  const aborted: boolean[] = [];
  const plugin: Plugin = {
    name: "late",
    deadlines: { authorize: 30 },
    hooks: {
      authorize: (_, { signal }) => {
        aborted.push(signal.aborted);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(aborted.push(true) as never)));
      },
    },
  };
  const { set } = await hookSet(plugin);
  await set.rule("authorize", [asked("/a")]);
  assertEquals(aborted, [false, true]);
});

Deno.test("failOpen: failures are no opinion, for the hooks that it names", async () => {
  const plugin: Plugin = {
    name: "open",
    failOpen: ["authorize"],
    hooks: {
      authorize: breaks,
      content: breaks,
    },
  };
  const { set, records } = await hookSet(plugin, refuses);
  assertEquals(await set.rule("authorize", [asked("/a")]), [REFUSED]);
  assertEquals((await set.rule("content", [chunkFacts()]))[0]?.by, "open");
  assertEquals(records.length, 2);
});

/** Says what it is asked about, and answers when it is told to. */
function slow(name: string, parts: Partial<Plugin> = {}, answer: () => unknown = () => undefined) {
  const seen: string[] = [];
  const open: (() => void)[] = [];
  const hook = ({ path }: { path: string }) => {
    seen.push(path);
    return new Promise<never>((resolve) => open.push(() => resolve(answer() as never)));
  };
  const plugin: Plugin = { name, hooks: { authorize: hook, filterPath: hook }, ...parts };
  return { plugin, seen, answer: () => open.splice(0).forEach((one) => one()) };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("ahead: a plugin is asked before those in front of it have answered, its answer counts in its turn", async () => {
  const first = slow("first");
  const between = slow("between");
  const last = slow("last", { ahead: ["authorize"] }, () => ({ allow: false, reason: "no" }));
  const { set } = await hookSet(first.plugin, between.plugin, last.plugin);
  let ruled = false;
  const rulings = Promise.resolve(set.rule("authorize", [asked("/a"), asked("/b")])).finally(() => ruled = true);
  await turn();
  assertEquals([first.seen, between.seen, last.seen], [["/a", "/b"], [], ["/a", "/b"]]);
  last.answer();
  await turn();
  assertEquals([ruled, between.seen], [false, []]);
  first.answer();
  await turn();
  assertEquals([ruled, between.seen], [false, ["/a", "/b"]]);
  between.answer();
  assertEquals((await rulings).map(({ by }) => by), ["last", "last"]);
  assertEquals(last.seen, ["/a", "/b"]);
});

Deno.test("ahead: what an earlier plugin decides holds, and a failure that nobody needs is none", async () => {
  const broken: Plugin = {
    name: "broken",
    ahead: ["authorize"],
    hooks: { authorize: breaks },
  };
  const { set, records } = await hookSet(allows, broken);
  assertEquals(await set.rule("authorize", [asked("/a")]), [{ allow: true, by: "allows" }]);
  assertEquals(records, []);
  const needed = await hookSet(silent, broken);
  assertEquals(await needed.set.rule("authorize", [asked("/a")]), [{ ...FAILED, by: "broken" }]);
  assertEquals(needed.records.length, 1);
});

Deno.test("ahead: where the path becomes another, what was said of the one it was does not count", async () => {
  const seen: string[] = [];
  const maps: Plugin = { name: "maps", hooks: { filterPath: ({ path }) => path === "/a" ? "/b" : path } };
  const hides: Plugin = {
    name: "hides",
    ahead: ["filterPath"],
    hooks: {
      filterPath({ path }) {
        seen.push(path);
        return path === "/b" ? null : path;
      },
    },
  };
  const { set } = await hookSet(maps, hides);
  const facts = ["/a", "/b", "/c"].map((path) => ({ session: session(), command: "get", path }));
  const hidden = { path: null, by: "hides" };
  assertEquals(await set.map(facts), [hidden, hidden, { path: "/c", by: null }]);
  assertEquals(seen, ["/a", "/b", "/c", "/b"]);
});

Deno.test("ahead: answers that hold are kept, and not asked for again", async () => {
  const first = slow("first", { cache: { authorize: 60 } });
  const last = slow("last", { ahead: ["authorize"], cache: { authorize: 60 } });
  const { set } = await hookSet(first.plugin, last.plugin);
  const facts = asked("/a");
  const ruling = set.rule("authorize", [facts]);
  await turn();
  first.answer();
  last.answer();
  await ruling;
  assertEquals(await set.rule("authorize", [facts]), [{ allow: true, by: null }]);
  assertEquals(set.foresee("authorize", { ...facts }), null);
  await turn();
  assertEquals([first.seen, last.seen], [["/a"], ["/a"]]);
});

Deno.test("ahead: a failure of before its turn is over by then, and an answer that holds no longer is asked for anew", async () => {
  const said: unknown[] = [];
  const saying = (answers: unknown[], cache?: Plugin["cache"]): Plugin => ({
    name: "last",
    ahead: ["authorize"],
    failOpen: ["authorize"],
    ...(cache ? { cache } : {}),
    hooks: {
      authorize() {
        const answer = answers.shift();
        said.push(answer);
        if (answer === "throw") throw new Error("broken");
        return answer as never;
      },
    },
  });
  const refusal = { allow: false, reason: "no" };
  for (const [answers, cache] of [[["throw", refusal]], [[{ allow: true }, refusal], { authorize: 0.05 }]] as const) {
    const first = slow("first");
    const { set } = await hookSet(first.plugin, saying([...answers], cache));
    const rulings = set.rule("authorize", [asked("/a")]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    first.answer();
    assertEquals(await rulings, [{ ...refusal, by: "last" }]);
  }
  assertEquals(said.length, 4);
});

Deno.test("ahead: no more questions than so many are open at once, and the plugins stay until they are answered", async () => {
  const last = slow("last", { ahead: ["authorize"] });
  let stopped = false;
  const { set } = await hookSet(slow("first").plugin, last.plugin);
  for (let i = 0; i < 1000; i++) set.foresee("authorize", asked(`/${i}`));
  await turn();
  assertEquals(last.seen.length, 256);
  const retired = set.retire().then(() => stopped = true);
  await turn();
  assert(!stopped);
  last.answer();
  await retired;
});

Deno.test("foresee: those that may be asked ahead are, and once only", async () => {
  const first = slow("first");
  const last = slow("last", { ahead: ["authorize"] }, () => ({ allow: false, reason: "no" }));
  const { set } = await hookSet(first.plugin, last.plugin);
  const facts = asked("/a");
  const foreseen = set.foresee("authorize", facts);
  await turn();
  assertEquals([first.seen, last.seen], [[], ["/a"]]);
  last.answer();
  const rulings = set.rule("authorize", [facts, { ...facts, path: "/b" }], [foreseen, null]);
  await turn();
  assertEquals([first.seen, last.seen], [["/a", "/b"], ["/a", "/b"]]);
  first.answer();
  last.answer();
  assertEquals((await rulings).map(({ by }) => by), ["last", "last"]);
});

Deno.test("answers that mean nothing refuse", async () => {
  const nonsense: unknown[] = [
    5,
    "yes",
    true,
    [],
    {},
    { allow: "true" },
    { allow: 1 },
    { allow: true, reason: 5 },
    () => {},
  ];
  for (const answer of nonsense) {
    const { set, records } = await hookSet({ name: "odd", hooks: { authorize: () => answer as never } }, allows);
    assertEquals(await set.rule("authorize", [asked("/a")]), [{ ...FAILED, by: "odd" }], String(answer));
    assertEquals(records.length, 1);
  }
  for (const answer of [5, "", "a", "../a", {}, [], true]) {
    const { set } = await hookSet({ name: "odd", hooks: { filterPath: () => answer as never } });
    const mapped = await set.map([{ session: session(), command: "get", path: "/a" }]);
    assertEquals(mapped, [{ path: null, by: "odd" }], String(answer));
  }
});

Deno.test("cache: asked once per session and equal facts, and by each hook for itself", async () => {
  let calls = 0;
  const plugin: Plugin = {
    name: "cached",
    cache: { authorize: 60 },
    hooks: {
      authorize({ path }) {
        calls++;
        return path === "/none" ? undefined : { allow: path === "/a" };
      },
    },
  };
  const { set } = await hookSet(plugin);
  const mine = session();
  for (let i = 0; i < 3; i++) {
    const rulings = await set.rule("authorize", [asked("/a", mine), asked("/b", mine), asked("/none", mine)]);
    assertEquals(rulings.map(({ allow }) => allow), [true, false, true]);
  }
  assertEquals(calls, 3);
  await set.rule("authorize", [{ ...asked("/a", mine), command: "put" }]);
  await set.rule("authorize", [{ ...asked("/a", mine), user: { name: "ann" } }]);
  await set.rule("authorize", [{ ...asked("/a", mine), size: 5 }]);
  assertEquals(calls, 6);
  await set.rule("authorize", [asked("/a", session())]);
  assertEquals(calls, 7);
});

Deno.test("cache: answers expire; without a time nothing is kept", async () => {
  for (const [cache, expected] of [[{ authorize: 0.05 }, 2], [{}, 3], [{ authorize: 0 }, 3]] as const) {
    let calls = 0;
    const { set } = await hookSet({ name: "cached", cache, hooks: { authorize: () => ({ allow: ++calls > 0 }) } });
    const mine = session();
    await set.rule("authorize", [asked("/a", mine)]);
    await set.rule("authorize", [asked("/a", mine)]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    await set.rule("authorize", [asked("/a", mine)]);
    assertEquals(calls, expected);
  }
});

Deno.test("cache: failures are never kept, be they throws, deadlines or nonsense", async () => {
  const failures: (() => unknown)[] = [
    () => {
      throw new Error("broken");
    },
    () => new Promise(() => {}),
    () => ({ allow: "perhaps" }),
  ];
  for (const failure of failures) {
    let calls = 0;
    const hook = () => (++calls === 1 ? failure() : { allow: true }) as { allow: boolean };
    const { set } = await hookSet({
      name: "cached",
      cache: { authorize: 60 },
      deadlines: { authorize: 30 },
      hooks: { authorize: hook },
    });
    const mine = session();
    const allowed = [];
    for (let i = 0; i < 3; i++) allowed.push((await set.rule("authorize", [asked("/a", mine)]))[0]?.allow);
    assertEquals(allowed, [false, true, true]);
    assertEquals(calls, 2);
  }
});

Deno.test("cache: a session keeps the latest, a megabyte of them over all hooks, however long the paths", async () => {
  for (const [length, count] of [[10, 10_000], [3_000, 500]] as const) {
    const calls: string[] = [];
    const { set } = await hookSet({
      name: "cached",
      cache: { authorize: 60, filterPath: 60 },
      hooks: {
        authorize: ({ path }) => void calls.push(`authorize ${path}`),
        filterPath: ({ path }) => void calls.push(`filterPath ${path}`),
      },
    });
    const mine = session();
    const paths = Array.from({ length: count }, (_, index) => `/${index}`.padEnd(length));
    const ask = async (paths: readonly string[]) => {
      await set.map(paths.map((path) => ({ session: mine, command: "get", path })));
      await set.rule("authorize", paths.map((path) => asked(path, mine)));
      return calls.splice(0).length;
    };
    assertEquals(await ask(paths), 2 * count);
    // The latest decisions of `authorize` have taken the place of all of `filterPath`.
    assertEquals(await ask(paths.slice(-100)), 100);
    assertEquals(await ask(paths.slice(0, 100)), 200);
  }
});

Deno.test("cache: several plugins together hold as long as the first of them to expire, and answer at once until then", async () => {
  const calls: string[] = [];
  const keeper = (name: string, seconds: number): Plugin => ({
    name,
    cache: { authorize: seconds, filterPath: seconds },
    hooks: {
      authorize: () => void calls.push(name),
      filterPath: ({ path }) => (calls.push(name), `${path}.${name}`),
    },
  });
  const { set } = await hookSet(keeper("a", 60), keeper("b", 0.2), keeper("c", 60));
  const mine = session();
  const user = { name: "ann" };
  const facts = { ...asked("/x", mine), user };
  const mapped = { path: "/x.a.b.c", by: "c" };
  assertEquals(await set.rule("authorize", [facts]), [{ allow: true, by: null }]);
  assertEquals(await set.map([{ session: mine, user, command: "get", path: "/x" }]), [mapped]);
  assertEquals(calls.splice(0), ["a", "b", "c", "a", "b", "c"]);
  assertEquals(set.rule("authorize", [facts]), [{ allow: true, by: null }]);
  assertEquals(set.map([{ session: mine, user, command: "get", path: "/x" }]), [mapped]);
  assertEquals(calls, []);
  await set.rule("authorize", [{ ...facts, user: { name: "bob" } }]);
  assertEquals(calls.splice(0), ["a", "b", "c"]);
  await new Promise((resolve) => setTimeout(resolve, 250));
  assertEquals(await set.rule("authorize", [facts]), [{ allow: true, by: null }]);
  assertEquals(calls, ["b"]);
});

Deno.test("cache: one plugin that can't be kept is asked each time, whatever the others allow", async () => {
  const calls: string[] = [];
  const named = (name: string, cache: Plugin["cache"]): Plugin => {
    return { name, ...(cache ? { cache } : {}), hooks: { authorize: () => void calls.push(name) } };
  };
  const { set } = await hookSet(named("a", { authorize: 60 }), named("b", undefined), named("c", { authorize: 60 }));
  const mine = session();
  for (let i = 0; i < 3; i++) await set.rule("authorize", [asked("/x", mine)]);
  assertEquals(calls, ["a", "b", "c", "b", "b"]);
});

Deno.test("a set that was retired waits for those who use it", async () => {
  const { set } = await hookSet(allows);
  const [one, two] = [set.acquire(), set.acquire()];
  let gone = false;
  const retired = set.retire().then(() => gone = true);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert(!gone, "twice let go by the same user is once");
  two[Symbol.dispose]();
  await retired;
});

Deno.test("ways to come in: of all plugins together, each once", async () => {
  const { set } = await hookSet(
    { name: "a", hooks: { authenticate() {} }, methods: ["token"] },
    { name: "b", hooks: { authenticate() {} } },
    { name: "c", hooks: {}, methods: ["publickey"] },
  );
  assertEquals(set.methods, ["token", "anonymous", "password"]);
});
