import { assertEquals, assertStringIncludes, fail } from "@std/assert";
import { asPlugin, hooksOf } from "../../../lib/hooks/plugin_shape.ts";

const hooks = {};

function complaint(exported: unknown): string {
  try {
    asPlugin(exported);
  } catch (error) {
    if (error instanceof TypeError) return error.message;
  }
  return fail(`it was taken for a plugin: ${Deno.inspect(exported)}`);
}

Deno.test("a whole plugin passes, and has its hooks in the table's order", () => {
  const plugin = asPlugin({
    name: "office-Rules-2",
    description: "x",
    permissions: { net: ["a:1"], read: [], write: ["b"], env: ["C"], run: ["d"] },
    options: {
      a: { type: "string", help: "x", default: "y", values: ["y", "z"] },
      b: { type: "strings", help: "x", default: ["y"] },
      c: { type: "number", help: "x", optional: true },
      d: { type: "boolean", help: "", default: false },
    },
    hooks: { log() {}, authorize() {}, connect: undefined },
    methods: ["token"],
    cache: { authorize: 5 },
    deadlines: { log: 0, authorize: 86_400_000 },
    failOpen: ["authorize"],
    ahead: ["authorize", "filterPath"],
    start() {},
    async stop() {},
  });
  assertEquals(hooksOf(plugin), ["authorize", "log"]);
  assertEquals(asPlugin({ name: "a", hooks }).name, "a");
});

Deno.test("each mistake is named", () => {
  const option = (declared: unknown) => ({ name: "a", hooks, options: { x: declared } });
  const wrong: [unknown, string][] = [
    [undefined, "default export must be an object"],
    [null, "default export"],
    [() => {}, "default export"],
    [[], "default export"],
    [{ name: "a", hooks, hook: {} }, "hook is no property"],
    [{ hooks }, "name must be"],
    [{ name: "", hooks }, "name must be"],
    [{ name: "a b", hooks }, "name must be"],
    [{ name: "../a", hooks }, "name must be"],
    [{ name: "-a", hooks }, "name must be"],
    [{ name: "a\n", hooks }, "name must be"],
    [{ name: "a".repeat(65), hooks }, "name must be"],
    [{ name: 5, hooks }, "name must be"],
    [{ name: "a" }, "hooks must be an object"],
    [{ name: "a", hooks: [] }, "hooks must be an object"],
    [{ name: "a", hooks: { authorise() {} } }, "hooks.authorise: there is no such hook; there are connect"],
    [{ name: "a", hooks: { authorize: true } }, "hooks.authorize must be a function"],
    [{ name: "a", hooks, description: 5 }, "description"],
    [{ name: "a", hooks, permissions: true }, "permissions must be"],
    [{ name: "a", hooks, permissions: { read: true } }, "permissions.read must be a list"],
    [{ name: "a", hooks, permissions: { read: [""] } }, "permissions.read: one is empty"],
    [{ name: "a", hooks, permissions: { read: [5] } }, "permissions.read must be a list"],
    [{ name: "a", hooks, permissions: { ffi: [] } }, "permissions.ffi: there is no such"],
    [{ name: "a", hooks, options: [] }, "options must be"],
    [option(5), "options.x must be"],
    [option({ type: "date", help: "" }), "options.x.type must be one of string"],
    [option({ type: "string" }), "options.x.help"],
    [option({ type: "string", help: "", default: 5 }), "options.x.default must be a string"],
    [option({ type: "strings", help: "", default: "a" }), "options.x.default must be a strings"],
    [option({ type: "string", help: "", optional: "yes" }), "options.x.optional"],
    [option({ type: "string", help: "", values: "a" }), "options.x.values"],
    [option({ type: "string", help: "", values: [{}] }), "options.x.values"],
    [{ name: "a", hooks, methods: "token" }, "methods must be a list"],
    [{ name: "a", hooks, cache: { log: 5 } }, "cache.log"],
    [
      { name: "a", hooks, cache: { content: 5 } },
      "cache.content: what was said of one chunk does not hold for another",
    ],
    [{ name: "a", hooks, cache: { authorize: -1 } }, "cache.authorize must be a number"],
    [{ name: "a", hooks, cache: { authorize: NaN } }, "cache.authorize must be a number"],
    [{ name: "a", hooks, cache: 5 }, "cache must be"],
    [{ name: "a", hooks, deadlines: { nothing: 5 } }, "deadlines.nothing"],
    [{ name: "a", hooks, deadlines: { log: Infinity } }, "deadlines.log must be a number"],
    [{ name: "a", hooks, deadlines: { log: "5" } }, "deadlines.log must be a number"],
    [{ name: "a", hooks, failOpen: ["log"] }, "failOpen: log does not decide"],
    [{ name: "a", hooks, failOpen: ["nothing"] }, "failOpen: nothing"],
    [{ name: "a", hooks, failOpen: "authorize" }, "failOpen must be a list"],
    [{ name: "a", hooks, ahead: ["log"] }, "ahead: log does not decide"],
    [
      { name: "a", hooks, ahead: ["authenticate"] },
      "ahead: authenticate: credentials and content go to one plugin",
    ],
    [{ name: "a", hooks, ahead: ["content"] }, "ahead: content: credentials and content go to one plugin"],
    [{ name: "a", hooks, ahead: true }, "ahead must be a list"],
    [{ name: "a", hooks, start: 5 }, "start must be a function"],
    [{ name: "a", hooks, stop: {} }, "stop must be a function"],
  ];
  for (const [exported, part] of wrong) assertStringIncludes(complaint(exported), part);
});
