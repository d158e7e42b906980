import { assertEquals, assertStringIncludes } from "@std/assert";
import type { OptionDeclaration } from "../../../lib/hooks/plugin.ts";
import { pluginOptions, readGivenOptions } from "../../../lib/hooks/plugin_options.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

const DECLARED: Record<string, OptionDeclaration> = {
  text: { type: "string", help: "a text", default: "none" },
  level: { type: "string", help: "one of some", values: ["low", "high"], optional: true },
  count: { type: "number", help: "a number", optional: true },
  size: { type: "number", help: "one of some", values: [1, 2], optional: true },
  on: { type: "boolean", help: "yes or no", default: false },
  many: { type: "strings", help: "texts", optional: true },
};

const options = (...texts: string[]) => pluginOptions({ name: "p", options: DECLARED }, readGivenOptions(texts));

Deno.test("options: each type, defaults, repeats, and odd values as they are", () => {
  assertEquals(options(), { text: "none", on: false });
  assertEquals(options("p.text=", "p.count=-1.5e3", "p.on=true", "p.level=high", "p.size=2", "other.x=1"), {
    text: "",
    count: -1500,
    on: true,
    level: "high",
    size: 2,
  });
  assertEquals(options("p.many=a", "p.many=b=c", "p.many=").many, ["a", "b=c", ""]);
  assertEquals(options("p.text=a=b.c=\n'\"€").text, "a=b.c=\n'\"€");
});

Deno.test("options: every mistake is one of usage, and named", () => {
  const needed = { name: "p", options: { key: { type: "string", help: "what it is for" } } } as const;
  const wrong: [() => unknown, string][] = [
    ...["", "p", "p.x", "=", "p=5", ".x=5", "p.=5"].map((text): [() => unknown, string] => [
      () => readGivenOptions([text]),
      "it takes NAME.KEY=VALUE",
    ]),
    [() => options("p.nothing=1"), "no such option; it has text, level"],
    [() => options("p.__proto__=1"), "no such option"],
    [() => options("p.constructor=1"), "no such option"],
    [() => pluginOptions({ name: "p", options: {} }, readGivenOptions(["p.a=1"])), "it has none"],
    [() => options("p.text=a", "p.text=b"), "one value"],
    [() => options("p.count="), "a number"],
    [() => options("p.count= "), "a number"],
    [() => options("p.count=5x"), "a number"],
    [() => options("p.count=NaN"), "a number"],
    [() => options("p.size=3"), "one of 1, 2"],
    [() => options("p.level=middle"), "one of low, high"],
    [() => options("p.on=yes"), "true or false"],
    [() => options("p.on="), "true or false"],
    [() => pluginOptions(needed, new Map()), "it is needed: what it is for"],
  ];
  for (const [read, part] of wrong) {
    assertStringIncludes(assertThrowsError(read, "USAGE").message, part);
  }
});
