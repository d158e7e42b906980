import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { readPluginSource } from "../../../lib/hooks/plugin_source.ts";
import { assertFails } from "../../support/named_errors.ts";
import { scratch } from "../../support/program.ts";

type Files = Readonly<Record<string, string>>;

async function write(folder: string, files: Files): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
    await Deno.writeTextFile(join(folder, name), text);
  }
}

/** What the entry of these files exports by default. */
async function run(files: Files, entry = "entry.ts", options = {}): Promise<unknown> {
  await using folder = await scratch();
  await write(folder.path, files);
  const source = await readPluginSource(join(folder.path, entry), options);
  return (await import(source.entry)).default;
}

/** Why these files are none of a plugin; with `~` for their folder. */
async function complaint(files: Files, entry = "entry.ts"): Promise<string> {
  await using folder = await scratch();
  await write(folder.path, files);
  return await refusal(join(folder.path, entry), folder.path);
}

async function refusal(file: string, folder: string): Promise<string> {
  const { message } = await assertFails(() => readPluginSource(file), "PLUGIN_FAILED");
  return message.replaceAll(folder, "~");
}

const WITHOUT_TYPES = "export default (x) => x + 1;";

Deno.test("files of each kind, with types and without", async () => {
  for (const name of ["entry.ts", "entry.mts"]) {
    const twice = await run({ [name]: "interface A { b: number }\nexport default (x: number): A => ({ b: x })" }, name);
    assertEquals((twice as (x: number) => unknown)(2), { b: 2 });
  }
  for (const name of ["entry.js", "entry.mjs"]) {
    assertEquals((await run({ [name]: WITHOUT_TYPES }, name) as (x: number) => number)(2), 3);
  }
  assertMatch(await complaint({ "entry.js": "const a: number = 1;" }, "entry.js"), /~\/entry\.js:1:8/);
  for (const name of ["entry", "entry.json", "entry.tsx", "entry.cjs"]) {
    assertStringIncludes(
      await complaint({ [name]: "1" }, name),
      "files of plugins are called *.ts, *.mts, *.js, *.mjs",
    );
  }
});

Deno.test("imports: relative ones, in both directions, diamonds once, fsh/plugin, types only", async () => {
  const result = await run({
    "entry.ts": `import { definePlugin, type Plugin } from "fsh/plugin"; import { b } from "./parts/b.ts";
      import * as c from './parts/c.js'; import type { Gone } from "./gone.ts"; export { d as e } from "./parts/d.mjs";
      export default definePlugin({ name: "a", hooks: {}, b, c: c.c, same: b.d === c.c.d } as Plugin);`,
    "parts/b.ts": `import { d } from "./d.mjs"; import "../top.js"; export const b: { d: unknown } = { d };`,
    "parts/c.js": `import { d } from "./../parts/d.mjs"; export const c = { d };`,
    "parts/d.mjs": `export const d = {};`,
    "top.js": `globalThis.topSeen = (globalThis.topSeen ?? 0) + 1;`,
  });
  assertEquals(result, { name: "a", hooks: {}, b: { d: {} }, c: { d: {} }, same: true });
  assertEquals((globalThis as { topSeen?: number }).topSeen, 1);
});

Deno.test("all files are named, each once", async () => {
  await using folder = await scratch();
  await write(folder.path, {
    "entry.js": `import "./a.js"; import "./b.js";`,
    "a.js": `import "./c.js";`,
    "b.js": `import "./c.js";`,
    "c.js": "",
  });
  const { file, files, entry } = await readPluginSource(join(folder.path, "entry.js"));
  assertEquals(files.map((one) => one.slice(folder.path.length + 1)), ["entry.js", "a.js", "c.js", "b.js"]);
  assertEquals(file, join(folder.path, "entry.js"));
  assertMatch(entry, /^data:text\/javascript;base64,[A-Za-z0-9+/=]+$/);
});

Deno.test("what is missing is named, with who imports it", async () => {
  assertMatch(await complaint({}), /^~\/entry\.ts: .*there is no such file/);
  const message = await complaint({ "entry.ts": `import "./a/b.ts";`, "a/b.ts": `import "../c.ts";` });
  assertMatch(message, /^~\/c\.ts, which ~\/a\/b\.ts imports: .*there is no such file/);
});

Deno.test("cycles are refused, with what to do", async () => {
  assertMatch(await complaint({ "entry.ts": `import "./entry.ts";` }), /entry\.ts: .*imports itself/);
  const message = await complaint({
    "entry.ts": `import "./a.ts";`,
    "a.ts": `import "./b.ts";`,
    "b.ts": `import "./a.ts";`,
  });
  assertMatch(message, /a\.ts: .*move what both need to a third/);
});

Deno.test("errors name file and line, in types and out of them", async () => {
  const before = "\n\n";
  assertMatch(await complaint({ "entry.ts": `${before}enum A { B }` }), /^~\/entry\.ts:3:1: .*enum/i);
  assertMatch(
    await complaint({ "entry.ts": `${before}class A { constructor(private b: string) {} }` }),
    /entry\.ts:3:/,
  );
  assertMatch(await complaint({ "entry.ts": `${before}namespace A { export const b = 1; }` }), /entry\.ts:3:/);
  assertMatch(await complaint({ "entry.ts": `${before}const = 1;` }), /entry\.ts:3:/);
  assertMatch(
    await complaint({ "entry.js": `${before}const = 1;` }, "entry.js"),
    /^~\/entry\.js:3:7: .*Unexpected token/,
  );
  assertMatch(await complaint({ "entry.ts": `import "./b.ts";`, "b.ts": `${before}return 1` }), /^~\/b\.ts:3:/);
  assertMatch(
    await complaint({ "entry.ts": `${before}const a: number = await import("./b.ts");` }),
    /^~\/entry\.ts:3:25: .*import\(\)/,
  );
  // After all that, the next plugin is read as ever.
  assertEquals(await run({ "entry.ts": "export default 1 as number" }), 1);
});

Deno.test("imports of other kinds are refused, with file and line", async () => {
  const others = [
    "node:fs",
    "npm:x",
    "jsr:@x/y",
    "https://example.com/x.ts",
    "data:text/javascript,",
    "blob:x",
    "fs",
    "#x",
  ];
  for (const specifier of [...others, "file:///etc/x.js", ""]) {
    const message = await complaint({ "entry.ts": `\nimport "${specifier}";` });
    assertStringIncludes(message, `~/entry.ts:2: `);
    assertStringIncludes(message, `it imports ${specifier}; plugins import files by relative paths`);
  }
  assertMatch(
    await complaint({ "entry.ts": `import a from "./a.json";`, "a.json": "{}" }),
    /a\.json.*files of plugins are called/,
  );
});

Deno.test("files outside the plugin's folder are for trusted plugins only, by whatever way", async () => {
  await using outside = await scratch();
  await Deno.writeTextFile(join(outside.path, "other.js"), "export default 7;");
  await using folder = await scratch();
  const [other, entry] = [join(outside.path, "other.js"), join(folder.path, "entry.js")];
  const up = `../${outside.path.split("/").at(-1)}/other.js`;
  for (const way of [other, up, "./link.js", "./linked/other.js"]) {
    await write(folder.path, { "entry.js": `export { default } from ${JSON.stringify(way)};` });
    await Deno.symlink(other, join(folder.path, "link.js")).catch(() => {});
    await Deno.symlink(outside.path, join(folder.path, "linked")).catch(() => {});
    assertStringIncludes(await refusal(entry, folder.path), "it is outside the plugin's folder");
    assertEquals((await import((await readPluginSource(entry, { trusted: true })).entry)).default, 7);
  }
});

Deno.test("a plugin that is a link may have its files beside itself and beside where it leads", async () => {
  await using folder = await scratch();
  await write(folder.path, {
    "real/entry.js": `import a from "./a.js"; export default a;`,
    "real/a.js": "export default 1;",
    "names/a.js": "export default 2;",
  });
  await Deno.symlink("../real/entry.js", join(folder.path, "names", "entry.js"));
  assertEquals((await import((await readPluginSource(join(folder.path, "names/entry.js"))).entry)).default, 2);
  await Deno.remove(join(folder.path, "names", "a.js"));
  await Deno.symlink("../real/a.js", join(folder.path, "names", "a.js"));
  assertEquals((await import((await readPluginSource(join(folder.path, "names/entry.js"))).entry)).default, 1);
});

Deno.test("what is no file, or too large, is refused at once", async () => {
  await using folder = await scratch();
  await write(folder.path, { "entry.js": `import "./other.js";`, "large.js": " ".repeat(4 * 1024 * 1024 + 1) });
  const [entry, other] = [join(folder.path, "entry.js"), join(folder.path, "other.js")];
  await new Deno.Command("mkfifo", { args: [other] }).output();
  assertStringIncludes(await refusal(entry, folder.path), "it is not a file");
  await Deno.remove(other);
  await Deno.mkdir(other);
  assertStringIncludes(await refusal(entry, folder.path), "it is not a file");
  assertStringIncludes(await refusal(join(folder.path, "large.js"), folder.path), "bytes at the most");
  assertStringIncludes(await refusal("/dev/zero", folder.path), "files of plugins are called");
});

Deno.test("many files, and files that multiply when they are put together, have a bound", async () => {
  const many: Record<string, string> = { "entry.js": "" };
  for (let i = 0; i < 200; i++) many["entry.js"] += `import "./${many[`${i}.js`] = "", i}.js";`;
  assertStringIncludes(await complaint(many, "entry.js"), "200 files at the most");
  // Each doubles the one below it: a terabyte at the top.
  const ladder: Record<string, string> = { "0.js": "export default 0;" };
  for (let i = 1; i <= 40; i++) ladder[`${i}.js`] = `import a from "./${i - 1}.js"; import b from "./${i - 1}.js";`;
  const begun = performance.now();
  assertStringIncludes(await complaint(ladder, "40.js"), "import each other too often for their size");
  assert(performance.now() - begun < 5_000);
});

Deno.test("odd names of files", async () => {
  const names = [
    "a b",
    "it's",
    'say "x"',
    "100%",
    "50%25",
    "ünïcödé-日本",
    "a#b",
    "a?b",
    "a\\b",
    "a`${b}`",
    "x\ny",
    ".js",
  ];
  for (const name of names) {
    const specifier = JSON.stringify(`./${name.replaceAll("%25", "%2525")}.js`);
    assertEquals(
      await run(
        { "entry.js": `export { default } from ${specifier};`, [`${name}.js`]: "export default 5;" },
        "entry.js",
      ),
      5,
      name,
    );
    assertEquals(await run({ [`${name}.ts`]: "export default 5 as number;" }, `${name}.ts`), 5, name);
  }
  assertEquals(await run({ "e.js": `export { default } from "./a%20b.js"`, "a b.js": "export default 6;" }, "e.js"), 6);
});

Deno.test("byte order marks, other line ends, no line end, and text that is no UTF-8", async () => {
  const code = "export interface A {}\r\nexport default (1 as number);\r\n// end";
  assertEquals(await run({ "entry.ts": `\uFEFF${code}` }), 1);
  assertEquals(await run({ "entry.ts": code.replaceAll("\r\n", "\r") }), 1);
  assertEquals(await run({ "entry.js": "\uFEFFexport default '\u2028'" }, "entry.js"), "\u2028");
  assertMatch(await complaint({ "entry.js": "\uFEFF\r\n\r\nconst = 1" }, "entry.js"), /entry\.js:3:7/);
  assertEquals(await run({ "entry.ts": "" }), undefined);
});
