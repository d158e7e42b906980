import { type Case, LARGE, LONG, once, runCases, SMALL } from "../support/hostile_case.ts";
import { type Script } from "../support/hostile_server.ts";

const REFUSED = /not acceptable|name too long/;
const NAMES = [
  "..",
  ".",
  "../marker",
  "../../marker",
  "a/../../../marker",
  "a/..",
  "./a",
  "a//b",
  "/etc/fsh-hostile",
  "//a",
  "///////////////////////////////a",
  "",
  ".fsh-part-0123",
  "a/.fsh-part-0123",
  "a\0b",
  "x".repeat(256),
  `${"x".repeat(255)}/..`,
  "../outside/new",
];

Deno.test("names that lead out, or are none, are refused one by one, and what is good arrives", async () => {
  const kinds: readonly [string, Script, readonly string[]][] = [
    ["a small file", { content: SMALL }, []],
    ["a large file", { content: LARGE }, []],
    ["a folder", { content: SMALL }, []],
    ["a link, copied", { content: SMALL }, ["--links", "copy"]],
    ["a link, followed", { content: SMALL }, ["--links", "follow"]],
  ];
  const cases: Case[] = [];
  for (const [index, [kind, script, options]] of kinds.entries()) {
    const type = index < 2 ? "file" : index === 2 ? "directory" : "symlink";
    for (const names of index === 0 && LONG ? NAMES.map((name) => [name]) : [NAMES]) {
      cases.push({
        name: `${kind} named ${names.length > 1 ? "all of them" : JSON.stringify(names[0]?.slice(0, 40))}`,
        script: { ...script, entries: [...names.map((name) => ({ name, type }) as const), { name: "good" }] },
        args: once("get", "-r", "--include", "*", "--exclude", "*.tmp", ...options),
        exit: 7,
        error: REFUSED,
        leaves: ["tree/", "tree/good"],
      });
    }
  }
  await runCases(cases);
});

Deno.test("names that patterns match are names of one component, or nothing", async () => {
  const entries = [...NAMES.map((name) => ({ name })), { name: "good" }, { name: ".good" }, { name: "good" }];
  const cases = ["*", ".*"].map((pattern): Case => ({
    name: pattern,
    script: {
      content: SMALL,
      entries,
      answers: {
        // Nothing has that very name.
        STAT: (peer, { stream }) => peer.send("ERROR", stream, { code: 100, subject: "", detail: "" }),
      },
    },
    args: (url, { dest }) => ["get", "--retries", "0", `${url}${pattern}`, `${dest}/`],
    exit: 0,
    leaves: [pattern === "*" ? "good" : ".good"],
  }));
  await runCases(cases);
});

Deno.test("odd names that Linux allows are ordinary names", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const odd = [
    "..\\..\\marker",
    "C:\\marker",
    "CON",
    "a ",
    "...",
    "-rf",
    "a\nb",
    "\u001b]0;x\u0007",
    "e\u0301",
    "\u00e9",
  ];
  await runCases([{
    name: "all of them",
    script: { content: SMALL, entries: odd.map((name) => ({ name })) },
    exit: 0,
    leaves: ["tree/", ...odd.map((name) => `tree/${name}`)],
  }]);
});
