import { assert, assertEquals } from "@std/assert";
import { asPlugin } from "../../../lib/hooks/plugin_shape.ts";
import { SHIPPED } from "../../../plugins/shipped.ts";

Deno.test("every plugin that ships is one, under its name, and says what it and its options are for", async () => {
  for (const [name, make] of Object.entries(SHIPPED)) {
    const plugin = asPlugin(await make());
    assertEquals(plugin.name, name);
    assert(plugin.description, name);
    for (const [option, { help, default: fallback, type }] of Object.entries(plugin.options ?? {})) {
      assert(help.length > 10, `${name}.${option}`);
      const kind = Array.isArray(fallback) ? "strings" : typeof fallback;
      assert(fallback === undefined || kind === type, `${name}.${option} has a default of another type`);
    }
  }
});

Deno.test("plugins/README.md has a section for every plugin that ships, with each of its options", async () => {
  const text = await Deno.readTextFile(new URL("../../../plugins/README.md", import.meta.url));
  const sections = text.split(/^## /m);
  for (const [name, make] of Object.entries(SHIPPED)) {
    const section = sections.find((one) => one.startsWith(`\`${name}\``)) ?? "";
    assert(section !== "", `no section for ${name}`);
    assert(section.includes(`--plugin ${name}`), `no command line for ${name}`);
    for (const option of Object.keys((await make()).options ?? {})) {
      assert(section.includes(`\`${option}\``), `${name}: the option ${option} is not there`);
    }
  }
});
