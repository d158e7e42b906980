import { assertEquals, assertInstanceOf, assertMatch, fail } from "@std/assert";
import { moduleImports, ModuleProblem } from "../../../lib/hooks/module_imports.ts";

function problem(code: string): ModuleProblem {
  try {
    moduleImports(code);
  } catch (error) {
    assertInstanceOf(error, ModuleProblem);
    return error;
  }
  return fail(`nothing is wrong with ${code}`);
}

Deno.test("imports and re-exports are found, with their places, and nothing else", () => {
  const code = `import a from "./a.js";\nimport "./b.js";\nexport * from './c.js';export { d } from "./\\u0064.js";
    export const e = "./e.js", f = /import "x"/, g = \`import "y"\`; // import "z"`;
  const found = moduleImports(code);
  assertEquals(found.map(({ specifier }) => specifier), ["./a.js", "./b.js", "./c.js", "./d.js"]);
  assertEquals(found.map(({ start, end }) => code.slice(start, end)), [
    '"./a.js"',
    '"./b.js"',
    "'./c.js'",
    '"./\\u0064.js"',
  ]);
  assertEquals(moduleImports(""), []);
  assertEquals(moduleImports("#!/usr/bin/env x\nexport default import.meta.url;"), []);
});

Deno.test("what can't be: import(), attributes, and what is no module; each with its place", () => {
  const dynamic = problem(`const a = 1;\nconst b = function () {} / import("x") / 1;`);
  assertEquals([dynamic.line, dynamic.column], [2, 28]);
  assertMatch(dynamic.message, /import\(\) is not there/);
  assertMatch(problem(`import a from "./a.json" with { type: "json" };`).message, /attributes/);
  assertMatch(problem(`export * from "./a.json" with { type: "json" };`).message, /attributes/);
  const syntax = problem("const a = 1;\n  const = 2;");
  assertEquals([syntax.line, syntax.column], [2, 9]);
  assertMatch(syntax.message, /^Unexpected token$/);
  for (const code of [`import.source("x")`, `import.defer("x")`, `import source a from "x"`, "with (a) {}"]) {
    problem(code);
  }
});

Deno.test("what is nested without end is refused, and takes no time", () => {
  const begun = performance.now();
  for (const deep of ["(", "[", "{", "`${", "!", "a=>"]) assertMatch(problem(deep.repeat(200_000)).message, /./);
  assertMatch(problem("x=" + "(".repeat(100_000) + ")".repeat(100_000)).message, /too deeply/);
  assertEquals(performance.now() - begun < 5_000, true);
  assertEquals(moduleImports(`x = [${"1,".repeat(300_000)}]`), []);
});
