import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { silentLog } from "../../../lib/base/log.ts";
import { launchSandbox } from "../../../lib/cli/sandbox.ts";
import type { Plugin } from "../../../lib/hooks/plugin.ts";
import { grantedPermissions, loadPlugin, type PluginSettings } from "../../../lib/hooks/plugin_loader.ts";
import { readGivenOptions } from "../../../lib/hooks/plugin_options.ts";
import { assertFails } from "../../support/named_errors.ts";
import { scratch } from "../../support/program.ts";
import { ask, children } from "../../support/sandboxed.ts";

const shipped: Readonly<Record<string, () => Plugin>> = {
  "path-filter": () => ({
    name: "path-filter",
    options: { rules: { type: "string", help: "a file" } },
    hooks: { authorize: (_, { options }) => ({ allow: true, reason: String(options.rules) }) },
  }),
};

function settings(more: Partial<PluginSettings> = {}): PluginSettings {
  const options = readGivenOptions([]);
  return {
    plugins: [],
    options,
    allow: [],
    trust: [],
    shipped,
    launch: launchSandbox,
    log: silentLog,
    print() {},
    ...more,
  };
}

Deno.test("permissions: all of a plugin, of one kind, or none", () => {
  const plugin = { name: "p", permissions: { read: ["./a"], net: ["h:1"] } };
  assertEquals(grantedPermissions(plugin, ["p"]), plugin.permissions);
  assertEquals(grantedPermissions(plugin, ["p.net"]), { net: ["h:1"] });
  assertEquals(grantedPermissions(plugin, ["q", "p.run", "p.", "net", "P"]), {});
});

Deno.test("plugins that ship are found by name, with their options; other names are files", async () => {
  const options = readGivenOptions(["path-filter.rules=x"]);
  const { host, files, confined } = await loadPlugin("path-filter", settings({ options }));
  assertEquals([files, confined], [[], false]);
  assertEquals(await ask(host, "/a"), { answer: { allow: true, reason: "x" } });
  assertMatch(
    (await assertFails(() => loadPlugin("path-filter", settings()), "USAGE")).message,
    /it is needed: a file/,
  );
  for (const name of ["path-filters", "__proto__", "constructor", ""]) {
    assertMatch(
      (await assertFails(() => loadPlugin(name, settings()), "PLUGIN_FAILED")).message,
      /fsh brings path-filter/,
    );
  }
});

Deno.test("trust is for the file or the name that it says, and errors are the plugin's own", async () => {
  await using folder = await scratch();
  const file = join(folder.path, "rules.ts");
  await Deno.writeTextFile(
    file,
    "export default { name: 'rules', hooks: {}, start() { if (Deno.pid !== " + Deno.pid + ") throw 1; } };",
  );
  for (const trust of [[file], ["rules"]]) {
    const { confined, host } = await loadPlugin(file, settings({ trust }));
    assertEquals(confined, false);
    await host.stop();
  }
  for (const trust of [[], ["rule"], ["rules.ts"], [""]]) {
    await assertFails(() => loadPlugin(file, settings({ trust })), "PLUGIN_FAILED");
  }
  await Deno.writeTextFile(file, "\nthrow new Error('not today');");
  const failure = await assertFails(() => loadPlugin(file, settings({ trust: ["rules"] })), "PLUGIN_FAILED");
  assertMatch(failure.message, /rules\.ts.*not today/);
  assertEquals(children(folder.path), []);
});
