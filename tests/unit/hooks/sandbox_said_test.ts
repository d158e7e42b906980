import { assertEquals, assertInstanceOf, fail } from "@std/assert";
import { readSaid } from "../../../lib/hooks/sandbox_said.ts";

const MANIFEST = {
  name: "a",
  description: "",
  hooks: ["log", "authorize"],
  methods: [],
  permissions: { read: ["x"] },
  options: {},
  cache: { authorize: 5 },
  deadlines: {},
  failOpen: [],
  ahead: [],
};

Deno.test("what a sandbox may say, as it is", () => {
  const said = [
    { type: "started" },
    { type: "stopped" },
    { type: "pong" },
    { type: "failed", reason: "x" },
    { type: "print", text: "x" },
    { type: "replies", id: 1, at: 0, replies: [{ answer: { allow: true } }, { failure: "x" }, { answer: undefined }] },
    { type: "log", level: "warn", message: "x", fields: { a: "b", c: 1, d: true } },
  ];
  for (const message of said) assertEquals(readSaid(message) as unknown, message);
  const loaded = readSaid({ type: "loaded", manifest: MANIFEST, more: 1 });
  assertEquals(loaded as unknown, { type: "loaded", manifest: { ...MANIFEST, hooks: ["authorize", "log"] } });
});

Deno.test("everything else is refused", () => {
  const manifest = (part: object) => ({ type: "loaded", manifest: { ...MANIFEST, ...part } });
  const wrong: unknown[] = [
    null,
    5,
    "pong",
    [],
    {},
    { type: "exit" },
    { type: "__proto__" },
    { type: "loaded" },
    manifest({ name: "a/b" }),
    manifest({ hooks: 5 }),
    manifest({ methods: "x" }),
    manifest({ permissions: { read: "/" } }),
    manifest({ deadlines: { authorize: 1e12 } }),
    manifest({ options: { a: 5 } }),
    manifest({ start: 5 }),
    { type: "replies", replies: [] },
    { type: "replies", id: 1, at: 0 },
    { type: "replies", id: 1, replies: [] },
    { type: "replies", id: 1, at: 0, replies: [null] },
    { type: "log", level: "with", message: "x" },
    { type: "log", level: "constructor", message: "x" },
    { type: "log", message: "x" },
    { type: "log", level: "info", message: "x", fields: 5 },
  ];
  for (const message of wrong) {
    try {
      readSaid(message);
    } catch (error) {
      assertInstanceOf(error, TypeError);
      continue;
    }
    fail(`it was taken: ${Deno.inspect(message)}`);
  }
});

Deno.test("a log record says nothing in the server's name, and is no longer than it may be", () => {
  const fields = { plugin: "another", unhooked: false, a: { toString: 5 }, b: "x".repeat(100_000) };
  const record = readSaid({ type: "log", level: "info", message: "y".repeat(100_000), fields });
  assertEquals(record as unknown, {
    type: "log",
    level: "info",
    message: "y".repeat(64 * 1024),
    fields: { a: '{"toString":5}', b: "x".repeat(4096) },
  });
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`f${index}`, index]));
  const kept = readSaid({ type: "log", level: "info", message: {}, fields: many }) as {
    message: string;
    fields: object;
  };
  assertEquals([kept.message, Object.keys(kept.fields).length], ["{}", 32]);
});
