import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { OptionValue } from "../../../lib/plugin.ts";
import { createPathFilter } from "../../../plugins/path_filter/path_filter.ts";
import { failure, hookEvent, type StartedPlugin, startPlugin, temporaryFolder } from "../../support/hook_events.ts";

const start = (options: Record<string, OptionValue>) => startPlugin(createPathFilter(), options);

async function exists(it: StartedPlugin, path: string, facts: { command?: string; user?: string } = {}) {
  const { command = "get", user } = facts;
  const answer = await it.call(hookEvent("filterPath", { command, path, ...(user === undefined ? {} : { user }) }));
  assert(answer === null || answer === path);
  return answer === path;
}

function authorize(
  it: StartedPlugin,
  path: string,
  facts: { command?: string; target?: string; user?: string } = {},
): Promise<unknown> {
  const { command = "get", target, user } = facts;
  const event = { command, path, target, size: undefined, ...(user === undefined ? {} : { user }) };
  return it.call(hookEvent("authorize", event));
}

async function reason(it: StartedPlugin, path: string, facts: { command?: string; target?: string } = {}) {
  const verdict = await authorize(it, path, facts);
  return typeof verdict === "object" && verdict !== null && "reason" in verdict ? String(verdict.reason) : null;
}

Deno.test("path-filter: what is hidden does not exist, nor anything below it", async () => {
  await using it = await start({ hide: ["/private/", "*.key", "!/public.key", ".*"] });
  for (
    const path of [
      "/private",
      "/private/a",
      "/private/a/b",
      "/a.key",
      "/x/y/a.key",
      "/a.key/below",
      "/.git/config",
      "/x/.y",
    ]
  ) {
    for (const command of ["get", "put", "list", "stat", "remove"]) {
      assertEquals(await exists(it, path, { command }), false, path);
    }
  }
  assertEquals(await exists(it, "/A.KEY"), Deno.build.os === "linux");
  for (const path of ["/", "/public.key", "/privat", "/x/private", "/a.keys", "/private.txt"]) {
    assertEquals(await exists(it, path), true, path);
  }
});

Deno.test("path-filter: odd names don't get past a pattern", async () => {
  await using it = await start({ hide: ["/private/**", "/deep/**/secret"], deny: ["*.key"] });
  for (const name of ["\nx", "\r", "\u2028a", "a\nb", " ", "ä".repeat(80), "__proto__", "-rf", "[x]", "\\"]) {
    assertEquals(await exists(it, `/private/${name}`), false, JSON.stringify(name));
    assertEquals(await exists(it, `/deep/${name}/secret`), false, JSON.stringify(name));
    assertEquals(await exists(it, `/other/${name}`), true, JSON.stringify(name));
    assert((await reason(it, `/${name}.key`))?.includes("*.key"), JSON.stringify(name));
  }
});

Deno.test("path-filter: what is denied is seen, and refused with the rule", async () => {
  await using it = await start({ deny: ["*.key", "/drafts/*", "!/drafts/open"] });
  assertEquals(await exists(it, "/a.key"), true);
  assertEquals(await reason(it, "/x/a.key"), "denied by the rule *.key (option deny)");
  assertEquals(await reason(it, "/drafts/b/c", { command: "put" }), "denied by the rule /drafts/* (option deny)");
  assertEquals(await authorize(it, "/drafts/open"), undefined);
  assertEquals(await authorize(it, "/drafts"), undefined);
  assertEquals(await authorize(it, "/"), undefined);
});

Deno.test("path-filter: with an allow list only that exists, and the folders on the way", async () => {
  await using it = await start({ allow: ["/pub/docs/*.pdf", "/in/"], deny: ["/in/no"] });
  for (const path of ["/pub/docs/a.pdf", "/in", "/in/x/y"]) assertEquals(await exists(it, path), true, path);
  for (const path of ["/pub", "/pub/docs"]) {
    assertEquals(await exists(it, path, { command: "list" }), true, path);
    assertEquals(await exists(it, path, { command: "get" }), false, path);
    assert(await reason(it, path, { command: "remove" }) !== null, path);
    assert(await reason(it, path, { command: "move", target: "/in/x" }) !== null, path);
  }
  for (const path of ["/pub/docs/a.txt", "/pub/x", "/other", "/pub/docs/deep/a.pdf", "/pub2"]) {
    assertEquals(await exists(it, path, { command: "list" }), false, path);
  }
  assert(await reason(it, "/in/no", { command: "put" }) !== null);
  assertEquals(await authorize(it, "/in/yes", { command: "put" }), undefined);
});

Deno.test("path-filter: a pattern of the allow list that holds at any depth opens every folder on the way", async () => {
  await using it = await start({ allow: ["*.pdf"] });
  assertEquals(await exists(it, "/a/b", { command: "list" }), true);
  assertEquals(await exists(it, "/a/b/c.pdf"), true);
  assertEquals(await exists(it, "/a/b/c.txt"), false);
});

Deno.test("path-filter: where a move or a link leads must not be denied either", async () => {
  await using it = await start({ deny: ["*.key"] });
  for (const command of ["move", "symlink"]) {
    assertStringIncludes(await reason(it, "/x", { command, target: "/y.key" }) ?? "", "*.key");
    assertEquals(await reason(it, "/x", { command, target: "/y" }), null);
  }
});

Deno.test("path-filter: a rules file, with sections for single users, is read again when it changed", async () => {
  await using folder = await temporaryFolder();
  const rules = `${folder.path}/rules`;
  await Deno.writeTextFile(
    rules,
    "# comment\r\n[hide]\n/private\n\n[deny]\n*.key\n[hide user backup]\n!/private\n[deny user backup]\n/logs\n",
  );
  await using it = await start({ rules, hide: ["/always"] });
  assertEquals(await exists(it, "/private"), false);
  assertEquals(await exists(it, "/private", { user: "office" }), false);
  assertEquals(await exists(it, "/private", { user: "backup" }), true);
  assertEquals(await exists(it, "/always", { user: "backup" }), false);
  assertEquals(await authorize(it, "/a.key"), {
    allow: false,
    reason: "denied by the rule *.key (line 6 of the rules)",
  });
  assertEquals(await authorize(it, "/logs"), undefined);
  assert(await authorize(it, "/logs", { user: "backup" }) !== undefined);

  await Deno.writeTextFile(rules, "[hide]\n/other\n");
  assertEquals([await exists(it, "/private"), await exists(it, "/other")], [true, false]);
  await Deno.writeTextFile(rules, "[hidden]\n/another\n");
  assertEquals([await exists(it, "/another"), await exists(it, "/other")], [true, false]);
  assertStringIncludes(String(it.lines.at(-1)?.fields.error), "line 1");
});

Deno.test("path-filter: wrong rules are an error at the start, with their line", async () => {
  await using folder = await temporaryFolder();
  const rules = `${folder.path}/rules`;
  for (
    const [text, part] of [
      ["/private\n", "line 1: wrong usage (a pattern before"],
      ["[hide]\n\n[deny users x]\n", "line 3"],
      ["[hide]\nfoo\\\n", "ends in the middle"],
    ] as const
  ) {
    await Deno.writeTextFile(rules, text);
    assertStringIncludes(await failure(() => start({ rules })), part);
  }
  assertStringIncludes(await failure(() => start({ deny: ["a\\"] })), "ends in the middle");
  assertStringIncludes(await failure(() => start({ rules: `${folder.path}/none` })), "not found");
});

/** Bytes that 100,000 different paths leave behind; in a program of its own, which can collect its garbage. */
const MEASURE = `
  import { Globs } from "./plugins/path_filter/globs.ts";
  const globs = new Globs([{ pattern: "/private/*", origin: "" }, { pattern: "*.key", origin: "" }]);
  const ask = (from, to) => {
    for (let i = from; i < to; i++) globs.match("/" + "x".repeat(200) + i + "/" + i);
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  console.log(-ask(0, 9_000) + ask(10_000, 110_000));
`;

Deno.test("path-filter: memory does not grow with the paths that are asked for", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--v8-flags=--expose-gc", MEASURE],
    cwd: new URL("../../..", import.meta.url),
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const grown = Number(new TextDecoder().decode(stdout));
  assert(grown < 16 * 1024 * 1024, `${grown} bytes`);
});
