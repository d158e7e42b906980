import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { Log, type LogRecord } from "../../../lib/base/log.ts";
import { launchSandbox } from "../../../lib/cli/sandbox.ts";
import type { PluginSettings } from "../../../lib/hooks/plugin_loader.ts";
import { PluginManager } from "../../../lib/hooks/plugin_manager.ts";
import { readGivenOptions } from "../../../lib/hooks/plugin_options.ts";
import { SandboxHost } from "../../../lib/hooks/sandbox_host.ts";
import { assertFails } from "../../support/named_errors.ts";
import { asked } from "../../support/plugins.ts";
import { eventually, scratch } from "../../support/program.ts";
import { children } from "../../support/sandboxed.ts";

interface Managed extends AsyncDisposable {
  readonly manager: PluginManager;
  readonly records: LogRecord[];
  readonly folder: string;
  /** What the plugin `rules` says of itself now. */
  reason(): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

const rules = (reason: string, more = "") =>
  `export default { name: "rules", ${more} hooks: { authorize: () => ({ allow: true, reason: ${
    JSON.stringify(reason)
  } }) } };`;

function settings(plugins: readonly string[], more: Partial<PluginSettings> = {}): PluginSettings {
  const log = new Log("debug", () => {});
  const options = readGivenOptions([]);
  return { plugins, options, allow: [], trust: [], shipped: {}, launch: launchSandbox, log, print() {}, ...more };
}

async function managed(files: Readonly<Record<string, string>>, more: Partial<PluginSettings> = {}): Promise<Managed> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-manager-" });
  const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
  for (const [name, text] of Object.entries(files)) await write(name, text);
  const records: LogRecord[] = [];
  const log = new Log("debug", (record) => records.push(record));
  const manager = await PluginManager.start(settings([join(folder, "rules.ts")], { log, ...more }));
  return {
    manager,
    records,
    folder,
    write,
    async reason() {
      return (await manager.runner.current.rule("authorize", [asked("/a")]))[0]?.reason;
    },
    async [Symbol.asyncDispose]() {
      await manager.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function pid({ manager }: Managed): number | null {
  const [host] = manager.runner.current.hosts;
  return host instanceof SandboxHost ? host.pid : null;
}

const messages = ({ records }: Managed, level: string) =>
  records.filter((record) => record.level === level).map(({ message, fields }) => `${message} ${fields.reason ?? ""}`);

Deno.test("a change of the file, or of one that it imports, is noticed; the old process goes", async () => {
  await using subject = await managed({
    "rules.ts": `import { reason } from "./part.ts";
      export default { name: "rules", hooks: { authorize: () => ({ allow: true, reason }) } };`,
    "part.ts": "export const reason: string = 'one';",
  });
  assertEquals(await subject.reason(), "one");
  const first = pid(subject);
  await subject.write("part.ts", "export const reason: string = 'two';");
  await eventually("the imported file's new version", 10_000, async () => await subject.reason() === "two");
  await subject.write("rules.ts", rules("three"));
  await eventually("the file's new version", 10_000, async () => await subject.reason() === "three");
  await eventually("the old processes to go", 5_000, () => children(subject.folder).length === 1);
  assertNotEquals(pid(subject), first);
  assertEquals(messages(subject, "error"), []);
});

Deno.test("a broken version changes nothing, says why once, and a sound one after it holds", async () => {
  await using subject = await managed({ "rules.ts": rules("old") });
  const first = pid(subject);
  const broken = {
    "syntax": "\nconst = 1;",
    "throws": "throw new Error('not today');",
    "no plugin": "export default 5;",
    "another name": rules("x").replace('"rules"', '"others"'),
    "start": rules("x", "start() { throw new Error('no database') },"),
    "missing import": `import "./gone.ts";`,
  };
  for (const [what, code] of Object.entries(broken)) {
    await subject.write("rules.ts", code);
    await subject.manager.reload();
    assertEquals(await subject.reason(), "old", what);
  }
  await subject.manager.reload();
  assertEquals(pid(subject), first);
  const said = messages(subject, "error");
  assertEquals(said.length, Object.keys(broken).length);
  for (
    const [index, part] of [
      /rules\.ts:2:/,
      /not today/,
      /default export/,
      /was rules and calls itself others/,
      /no database/,
      /gone\.ts/,
    ].entries()
  ) {
    assertMatch(said[index] ?? "", part);
  }
  await subject.write("rules.ts", rules("new"));
  await subject.manager.reload();
  assertEquals(await subject.reason(), "new");
  await eventually("all other processes to go", 5_000, () => children(subject.folder).length === 1);
});

Deno.test("half a file is not loaded: it must have stayed the same for a while", async () => {
  await using subject = await managed({ "rules.ts": rules("old") });
  const end = performance.now() + 2_500;
  while (performance.now() < end) {
    // Sound by itself, but still being written.
    await subject.write("rules.ts", rules(`half ${performance.now()}`));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assertEquals(await subject.reason(), "old");
  }
  await subject.write("rules.ts", rules("whole"));
  await eventually("the whole file to be loaded", 5_000, async () => await subject.reason() === "whole");
});

Deno.test("a file that is deleted leaves its rules; when it is back, it holds", async () => {
  await using subject = await managed({ "rules.ts": rules("old") });
  await Deno.remove(join(subject.folder, "rules.ts"));
  await subject.manager.reload();
  await subject.manager.reload();
  assertEquals(await subject.reason(), "old");
  assertEquals(messages(subject, "error").length, 1);
  await subject.write("rules.ts", rules("back"));
  await subject.manager.reload();
  assertEquals(await subject.reason(), "back");
});

Deno.test("nothing is loaded anew without a change, unless it is asked for", async () => {
  await using subject = await managed({ "rules.ts": rules("old") });
  const first = pid(subject);
  await subject.manager.reload();
  assertEquals(pid(subject), first);
  await subject.manager.reload({ all: true });
  assertNotEquals(pid(subject), first);
  assertEquals(await subject.reason(), "old");
});

Deno.test("50 swaps while calls run: none fails, each request keeps its rules, nothing is left", async () => {
  await using subject = await managed({ "rules.ts": rules("0") });
  let over = false;
  let calls = 0;
  const callers = Array.from({ length: 4 }, async () => {
    while (!over) {
      const set = subject.manager.runner.current;
      using _held = set.acquire();
      const reasons = new Set<string | undefined>();
      for (let i = 0; i < 5; i++) {
        const [ruling] = await set.rule("authorize", [asked("/a")]);
        assert(ruling?.allow, ruling?.reason);
        reasons.add(ruling.reason);
        calls++;
      }
      assertEquals(reasons.size, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  for (let i = 1; i <= 50; i++) {
    await subject.write("rules.ts", rules(String(i)));
    await subject.manager.reload({ all: true });
    assertEquals(await subject.reason(), String(i));
  }
  over = true;
  await Promise.all(callers);
  assert(calls > 500, String(calls));
  assertEquals(messages(subject, "error"), []);
  await eventually("the old processes to go", 5_000, () => children(subject.folder).length === 1);
});

Deno.test("a new version gets no more permissions than the operator was shown", async () => {
  const asking = (permissions: string) => rules(permissions, `permissions: ${permissions},`);
  await using subject = await managed({ "rules.ts": asking("{ read: ['./a', './b'] }") }, { allow: ["rules"] });
  for (const more of ["{ read: ['./a', '/etc'] }", "{ read: ['./a'], run: ['sh'] }"]) {
    await subject.write("rules.ts", asking(more));
    await subject.manager.reload();
    assertEquals(await subject.reason(), "{ read: ['./a', './b'] }");
    assertStringIncludes(messages(subject, "error").at(-1) ?? "", "it asks for more than before");
  }
  for (const less of ["{}", "{ read: ['./b'] }"]) {
    await subject.write("rules.ts", asking(less));
    await subject.manager.reload();
    assertEquals(await subject.reason(), less);
  }
});

Deno.test("the start: two of one name, what is wrong with one of several, settings for nobody; no process is left", async () => {
  await using folder = await scratch();
  const [good, bad, same] = ["good.js", "bad.js", "same.js"].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  await Deno.writeTextFile(good, rules("x"));
  await Deno.writeTextFile(same, rules("y"));
  await Deno.writeTextFile(bad, "throw new Error('not today');");
  const start = (plugins: string[], more: Partial<PluginSettings> = {}) => () =>
    PluginManager.start(settings(plugins, more));
  assertMatch((await assertFails(start([good, same]), "USAGE")).message, /there are two rules/);
  assertMatch((await assertFails(start([good, bad]), "PLUGIN_FAILED")).message, /not today/);
  const options = readGivenOptions(["other.x=1"]);
  assertMatch((await assertFails(start([good], { options }), "USAGE")).message, /no plugin other; there are rules/);
  const unknown = readGivenOptions(["rules.x=1"]);
  assertMatch((await assertFails(start([good], { options: unknown }), "USAGE")).message, /no such option/);
  assertMatch((await assertFails(start([good], { allow: ["other"] }), "USAGE")).message, /--plugin-allow other/);
  assertMatch((await assertFails(start([good], { trust: ["other"] }), "USAGE")).message, /--plugin-trust other/);
  assertMatch((await assertFails(start(["nothing"]), "PLUGIN_FAILED")).message, /no such file/);
  assertMatch((await assertFails(start([folder.path]), "PLUGIN_FAILED")).message, /files of plugins are called/);
  assertEquals(children(folder.path), []);
});

Deno.test("what runs how, and what it may, is said at the start", async () => {
  const code = rules("x", "permissions: { read: ['./a'], run: ['sh'] },");
  await using subject = await managed({ "rules.ts": code }, { allow: ["rules.read"] });
  const [loaded, refused] = subject.records;
  assertEquals([loaded?.fields.runs, loaded?.fields.allowed], ["in a sandbox", '{"read":["./a"]}']);
  assertEquals([refused?.level, refused?.fields.allow], ["warn", "--plugin-allow rules.run"]);
  await using trusted = await managed({ "rules.ts": code }, { trust: ["rules"] });
  assertEquals([trusted.records[0]?.fields.runs, trusted.records.length], ["in this process", 1]);
  assertEquals(await trusted.reason(), "x");
});
