import type { Log } from "../base/log.ts";
import type { PluginSettings } from "../hooks/plugin_loader.ts";
import { readGivenOptions } from "../hooks/plugin_options.ts";
import { SHIPPED } from "../../plugins/shipped.ts";
import type { Args, OptionRow } from "./args.ts";
import { print } from "./output.ts";
import { launchSandbox } from "./sandbox.ts";

/** Options of every subcommand that runs plugins. */
export const PLUGIN_OPTIONS: readonly OptionRow[] = [
  {
    name: "plugin",
    value: "FILE",
    repeat: true,
    help: "a plugin's .ts or .js file, or the name of one that fsh brings",
  },
  { name: "plugin-option", value: "NAME.KEY=VALUE", repeat: true, help: "an option of a plugin" },
  {
    name: "plugin-allow",
    value: "NAME[.KIND]",
    repeat: true,
    help: "give a plugin the permissions that it asks for; KIND: net, read, write, env or run only",
  },
  {
    name: "plugin-trust",
    value: "NAME",
    repeat: true,
    help: "run a plugin in the server's own process, with all that the server may do",
  },
];

/** Names of the plugins that fsh brings. */
export function shippedNames(): string {
  return Object.keys(SHIPPED).join(", ");
}

export function pluginSettings(args: Args, options: { readonly log: Log; readonly json: boolean }): PluginSettings {
  const { log, json } = options;
  return {
    plugins: args.values("plugin"),
    options: readGivenOptions(args.values("plugin-option")),
    allow: args.values("plugin-allow"),
    trust: args.values("plugin-trust"),
    shipped: SHIPPED,
    launch: launchSandbox,
    log,
    print: (text, plugin) => print(json ? JSON.stringify({ event: "plugin", plugin, text }) : text),
  };
}
