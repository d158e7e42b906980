import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { eventually, FSH, fsh, scratch, ServerProcess, spawnFsh } from "../support/program.ts";

const RULES_TS = `import { definePlugin } from "fsh/plugin";
import { isKey, type Rule } from "./parts/keys.ts";

const rule: Rule = { reason: "keys stay here" };
export default definePlugin({
  name: "office-rules",
  hooks: {
    authorize(event) {
      if (isKey(event.path)) return { allow: false, reason: rule.reason };
    },
    filterPath: (event) => /^\\/private(\\/|$)/.test(event.path) ? null : event.path,
    completed(event) {
      console.log(JSON.stringify({ did: event.command, path: event.path }));
    },
  },
});
`;
const KEYS_TS = `export interface Rule { reason: string }
export const isKey = (path: string): boolean => path.endsWith(".key");
`;
const RULES_JS = RULES_TS.replace("keys.ts", "keys.js").replace(", type Rule", "").replace(": Rule", "");
const KEYS_JS = `export const isKey = (path) => path.endsWith(".key");\n`;

/** Some files to serve: a key, a private folder, and one that anybody may have. */
async function makeFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  await Deno.mkdir(join(folder, "private"));
  for (const name of ["open.txt", "door.key", "private/diary.txt"]) {
    await Deno.writeTextFile(join(folder, name), `this is ${name}`);
  }
  return folder;
}

/** A plugin file beside the served folder; both go with the scope. */
async function pluginFile(files: Readonly<Record<string, string>>): Promise<{ path: string } & AsyncDisposable> {
  const folder = await scratch();
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(join(folder.path, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(folder.path, name), text);
  }
  return folder;
}

for (const [kind, rules, keys] of [["ts", RULES_TS, KEYS_TS], ["js", RULES_JS, KEYS_JS]] as const) {
  Deno.test(`a .${kind} plugin that imports a second file rules over the executable alone`, async () => {
    await using alone = await scratch();
    const program = join(alone.path, "fsh");
    await Deno.copyFile(FSH, program);
    await using plugin = await pluginFile({ [`rules.${kind}`]: rules, [`parts/keys.${kind}`]: keys });
    const file = join(plugin.path, `rules.${kind}`);
    await using server = await ServerProcess.start({
      folder: await makeFolder(),
      args: ["--plugin", file],
      command: ["env", "-i", `HOME=${alone.path}`, program],
    });
    const url = server.url;
    const listing = await fsh(["ls", "-R", url]);
    assertEquals(listing.out.split("\n").sort(), ["", "door.key", "open.txt"], listing.err);
    const open = await fsh(["get", `${url}open.txt`, "-"]);
    assertEquals([open.code, open.out], [0, "this is open.txt"]);
    const key = await fsh(["get", `${url}door.key`, "-"]);
    assertEquals([key.code, key.out], [4, ""]);
    assertStringIncludes(key.err, "/door.key: permission denied (keys stay here)");
    const hidden = await fsh(["get", `${url}private/diary.txt`, "-"]);
    assertEquals(hidden.code, 5, hidden.err);
    const put = await fsh(["put", "-", `${url}new.key`], { stdin: new Uint8Array([1]) });
    assertEquals(put.code, 4, put.err);
    await eventually("the plugin's line", 5000, () => server.out.includes(`{"did":"get","path":"/open.txt"}`));
    assert(!server.out.includes("diary"), server.out);
  });
}

Deno.test("plugin new, plugin check, serve --plugin: as the README says", async () => {
  await using folder = await scratch();
  const cwd = folder.path;
  const made = await fsh(["plugin", "new", "x"], { cwd });
  assertEquals([made.code, made.out], [0, "x.ts\n"], made.err);
  const again = await fsh(["plugin", "new", "x"], { cwd });
  assertEquals(again.code, 1);
  assertStringIncludes(again.err, "x.ts: exists already");
  const types = await fsh(["plugin", "types"], { cwd });
  assertEquals(types.code, 0, types.err);
  assertStringIncludes(await Deno.readTextFile(join(cwd, "fsh-plugin.d.ts")), `declare module "fsh/plugin"`);
  const checked = await fsh(["plugin", "check", "x.ts"], { cwd });
  assertEquals(checked.code, 0, checked.out + checked.err);
  assertStringIncludes(checked.out, `/secret.key: {"allow":false,"reason":"keys stay here"}`);
  assertStringIncludes(checked.out, "all hooks answered");
  await using server = await ServerProcess.start({
    folder: await makeFolder(),
    args: ["--plugin", join(cwd, "x.ts")],
  });
  assertEquals((await fsh(["get", `${server.url}door.key`, "-"])).code, 4);
  assertEquals((await fsh(["get", `${server.url}open.txt`, "-"])).out, "this is open.txt");
});

Deno.test("plugin check names file and line of what is wrong", async () => {
  await using plugin = await pluginFile({
    "syntax.ts": "const a = 1;\nconst b: = 2;\nexport default {};\n",
    "load.ts": "\n\nthrow new Error('not today');\n",
    "hook.ts":
      "export default {\n  name: 'h',\n  hooks: {\n    authorize() {\n      throw new Error('oh');\n    },\n  },\n};\n",
    "shape.ts": "export default { name: 'h', hooks: { authorise() {} } };\n",
    "import.ts": "import { x } from './nowhere.ts';\nexport default { name: 'h', hooks: {} };\n",
  });
  const expected: Record<string, RegExp> = {
    syntax: /syntax\.ts:2:\d+: the plugin can't be used/,
    load: /not today[^]*load\.ts:3:\d+/,
    hook: /Error: oh\s+at .*hook\.ts:5:\d+/,
    shape: /hooks\.authorise: there is no such hook/,
    import: /nowhere\.ts, which .*import\.ts imports: the plugin can't be used \(there is no such file\)/,
  };
  for (const [name, pattern] of Object.entries(expected)) {
    const { code, out, err } = await fsh(["plugin", "check", join(plugin.path, `${name}.ts`)]);
    assertEquals(code, 1, name);
    assertMatch(out + err, pattern);
  }
});

Deno.test("plugins that loop, eat memory, throw and exit refuse what they are asked, and nothing else suffers", async () => {
  await using plugin = await pluginFile({
    "hostile.ts": `export default {
      name: "hostile",
      deadlines: { authorize: 1000 },
      hooks: {
        authorize({ path }) {
          if (path === "/loop") for (;;);
          if (path === "/heap") for (const all = [];;) all.push({ path, also: [path] });
          if (path === "/bytes") for (const all = [];;) all.push(new Uint8Array(1 << 20).fill(7));
          if (path === "/throw") throw new Error("always");
          if (path === "/exit") Deno.exit(3);
          if (path === "/later") Promise.reject(new Error("later"));
        },
        completed() {
          throw new Error("observers fail, too");
        },
      },
    };`,
    "polite.ts": `export default { name: "polite", hooks: { authorize: ({ path }) =>
      path === "/no" ? { allow: false, reason: "no" } : undefined } };`,
  });
  const folder = await makeFolder();
  for (const name of ["loop", "heap", "bytes", "throw", "exit", "later", "no"]) {
    await Deno.writeTextFile(join(folder, name), name);
  }
  await Deno.truncate(join(folder, "open.txt"), 256 * 1024 * 1024);
  const args = ["polite", "hostile"].flatMap((name) => ["--plugin", join(plugin.path, `${name}.ts`)]);
  await using server = await ServerProcess.start({ folder, args });
  const sandboxes = () => children(server.pid).length;
  assertEquals(sandboxes(), 2);
  for (const [name, restarts] of [["throw", 0], ["exit", 0], ["loop", 1], ["heap", 1], ["bytes", 1]] as const) {
    const running = fsh(["get", "--limit-rate", "100M", "-q", `${server.url}open.txt`, "-"], {});
    await eventually("the transfer to run", 5000, () => server.log.includes("session opened"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const begun = performance.now();
    const refused = await fsh(["get", `${server.url}${name}`, "-"]);
    const took = performance.now() - begun;
    assertEquals([refused.code, refused.out], [4, ""], `${name}: ${refused.err}`);
    assert(took < 3000, `${name} was refused after ${took} ms`);
    assertEquals((await running).code, 0, "a transfer that was under way");
    const before = server.log.match(/the plugin runs again/g)?.length ?? 0;
    if (restarts > 0) {
      await eventually("the plugin to run again", 10_000, () => /the plugin runs again/.test(server.log));
    }
    assertGreaterOrEqual(before + 1, 1);
    await eventually("other files to be had again", 10_000, async () => {
      return (await fsh(["get", `${server.url}door.key`, "-"])).out === "this is door.key";
    });
    assertEquals(sandboxes(), 2);
  }
  assertEquals((await fsh(["get", `${server.url}later`, "-"])).out, "later");
  assertEquals((await fsh(["get", `${server.url}no`, "-"])).code, 4);
  await server.logged(/a plugin failed.*observers fail, too/);
  assertEquals(await server.stop(), 0);
});

Deno.test("a plugin that throws at load stops the start, and says where", async () => {
  await using plugin = await pluginFile({ "bad.ts": "\nthrow new Error('not today');\n" });
  await using folder = await scratch();
  const { code, err } = await fsh(["serve", folder.path, "--port", "0", "--plugin", join(plugin.path, "bad.ts")]);
  assertEquals(code, 1);
  assertMatch(err, /not today[^]*bad\.ts:2:\d+/);
});

Deno.test("50 new versions of a plugin under load: no transfer fails, and each rules what begins after it", async () => {
  const version = (number: number) =>
    `export default { name: "versions", hooks: { authorize: ({ path }: { path: string }) =>
      path === "/probe-${number}" ? { allow: false, reason: "version ${number}" } : undefined } };\n`;
  await using plugin = await pluginFile({ "versions.ts": version(0) });
  const file = join(plugin.path, "versions.ts");
  const folder = await makeFolder();
  await Deno.writeFile(join(folder, "some"), new Uint8Array(4 * 1024 * 1024));
  for (let number = 0; number <= 50; number++) await Deno.writeTextFile(join(folder, `probe-${number}`), "probe");
  await using server = await ServerProcess.start({ folder, args: ["--plugin", file] });
  let over = false;
  let transfers = 0;
  const load = async () => {
    while (!over) {
      const { code, err } = await fsh(["get", "-q", `${server.url}some`, "-"]);
      assertEquals(code, 0, err);
      transfers++;
    }
  };
  const loading = [load(), load()];
  for (let number = 1; number <= 50; number++) {
    await Deno.writeTextFile(file, version(number));
    server.child.kill("SIGHUP");
    await eventually(
      `version ${number}`,
      10_000,
      () => (server.log.match(/plugin loaded anew/g)?.length ?? 0) >= number,
    );
    const { code, err } = await fsh(["get", `${server.url}probe-${number}`, "-"]);
    assertEquals(code, 4, `version ${number}: ${err}`);
    assertStringIncludes(err, `version ${number}`);
  }
  await Deno.writeTextFile(file, "export default { name: 'versions', hooks: { authorize(: } };\n");
  server.child.kill("SIGHUP");
  await server.logged(/the new version of a plugin can't be used; the old one stays/);
  assertEquals((await fsh(["get", `${server.url}probe-50`, "-"])).code, 4);
  over = true;
  await Promise.all(loading);
  assertGreaterOrEqual(transfers, 10);
  await eventually("one sandbox to be left", 10_000, () => children(server.pid).length === 1);
});

Deno.test("wrong options of plugins are named before anything is served", async () => {
  await using folder = await scratch();
  await using plugin = await pluginFile({
    "p.ts": `export default { name: "p", options: { n: { type: "number", help: "how many" } }, hooks: {} };`,
  });
  const serve = (...args: string[]) => fsh(["serve", folder.path, "--port", "0", ...args]);
  const p = ["--plugin", join(plugin.path, "p.ts")];
  const cases: [string[], number, RegExp][] = [
    [["--plugin", "nothing-of-the-kind"], 1, /no such file; fsh brings/],
    [p, 2, /p\.n: wrong usage \(it is needed: how many\)/],
    [[...p, "--plugin-option", "p.n=x"], 2, /p\.n=x: wrong usage \(it takes a number\)/],
    [[...p, "--plugin-option", "p.m=1"], 2, /p\.m: wrong usage \(the plugin has no such option; it has n\)/],
    [[...p, "--plugin-option", "p.n=1", "--plugin-option", "q.n=1"], 2, /there is no plugin q/],
    [[...p, "--plugin-option", "p.n=1", "--plugin-allow", "q"], 2, /--plugin-allow q/],
    [[...p, "--plugin-option", "nonsense"], 2, /NAME\.KEY=VALUE/],
  ];
  for (const [args, status, pattern] of cases) {
    const { code, err } = await serve(...args);
    assertEquals(code, status, `${args.join(" ")}: ${err}`);
    assertMatch(err, pattern);
  }
});

Deno.test("explain takes a size as the other commands do, and names one that is none", async () => {
  const wrong = await fsh(["explain", "--size", "much", "put", "/x"]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.err, "--size much: wrong usage");
  const right = await fsh(["explain", "--size", "10M", "put", "/x"]);
  assertEquals(right.code, 0, right.err);
  assertStringIncludes(right.out, "put /x: allowed");
});

Deno.test("a server that is killed leaves no sandbox behind, even one that loops", async () => {
  await using plugin = await pluginFile({
    "loop.ts": `export default { name: "loop", hooks: { authorize() { for (;;); } } };`,
  });
  const server = await ServerProcess.start({
    folder: await makeFolder(),
    args: ["--plugin", join(plugin.path, "loop.ts")],
  });
  const [sandbox] = children(server.pid);
  assert(sandbox !== undefined);
  const client = spawnFsh(["get", "--retries", "0", `${server.url}open.txt`, "-"]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await server[Symbol.asyncDispose]();
  await client.status;
  await Promise.all([client.stdout.cancel(), client.stderr.cancel()]);
  await eventually("the sandbox to be gone", 5000, () => !isAlive(sandbox));
});

/** Processes that a process has started. */
function children(pid: number): number[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
