import { basename } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { callAll } from "../hooks/call_within.ts";
import { hookRow } from "../hooks/hooks.ts";
import type { Manifest, PluginHost } from "../hooks/host.ts";
import { grantedPermissions, loadPlugin, type PluginSettings } from "../hooks/plugin_loader.ts";
import { sampleEvents } from "../hooks/sample_events.ts";
import { osError } from "../storage/os_error.ts";
import type { Args, Subcommand } from "./args.ts";
import { makeLog, note, print } from "./output.ts";
import { PLUGIN_OPTIONS, pluginSettings } from "./plugin_settings.ts";
import { starterPlugin } from "./plugin_starter.ts";
import { PLUGIN_TYPES } from "./plugin_types.ts";

const TYPES_FILE = "fsh-plugin.d.ts";
const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/i;

export const pluginCommand: Subcommand = {
  name: "plugin",
  usage: ["new NAME", "check FILE", "types [FILE]"],
  summary: "begin a plugin, try one, or get the types for one",
  details:
    `A plugin is a TypeScript or JavaScript file whose hooks decide who may enter, which paths exist for whom, and
what is recorded. It runs in a sandbox: see fsh help serve, --plugin.

  new NAME      writes NAME.ts, a plugin with comments, to begin with
  check FILE    loads it in its sandbox, says what it has, and calls its hooks with sample events
  types [FILE]  writes the types for an editor (${TYPES_FILE}); - for standard output

  fsh plugin new rules && fsh plugin check rules.ts && fsh serve --plugin rules.ts`,
  options: PLUGIN_OPTIONS.filter(({ name }) => name !== "plugin" && name !== "plugin-trust"),
  operands: { min: 1, max: 2 },

  async run(args) {
    const [action, operand] = args.operands;
    if (action === "types") return await writeTypes(operand ?? TYPES_FILE);
    const wants = { new: "NAME", check: "FILE" }[action ?? ""];
    if (wants === undefined) {
      throw new FshError("USAGE", { subject: `fsh plugin ${action}`, detail: "it takes new, check or types" });
    }
    if (operand === undefined) {
      throw new FshError("USAGE", { subject: `fsh plugin ${action}`, detail: `it takes ${wants}` });
    }
    return action === "new" ? await writeStarter(operand) : await check(operand, args);
  },
};

async function writeTypes(file: string): Promise<number> {
  if (file === "-") print(PLUGIN_TYPES.trimEnd());
  else {
    await Deno.writeTextFile(file, PLUGIN_TYPES).catch((error) => {
      throw osError(error, file);
    });
    note(`fsh: ${file} has the types; a plugin names it with /// <reference path="./${basename(file)}" />`);
  }
  return 0;
}

async function writeStarter(given: string): Promise<number> {
  const extension = [".ts", ".js"].find((one) => given.endsWith(one)) ?? ".ts";
  const name = basename(given, extension);
  const file = given.endsWith(extension) ? given : given + extension;
  if (!NAME.test(name)) {
    throw new FshError("USAGE", { subject: given, detail: "a name has 1 to 64 letters, digits and dashes" });
  }
  try {
    await Deno.writeTextFile(file, starterPlugin(name, basename(file)), { createNew: true });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw new FshError("EXISTS", { subject: file });
    throw osError(error, file);
  }
  print(file);
  note(`fsh: now try: fsh plugin check ${file} && fsh serve --plugin ${file}`);
  return 0;
}

/** Loads a plugin as a server would, calls every hook, and says what came of it. */
async function check(file: string, args: Args): Promise<number> {
  const log = makeLog({ json: false, fallback: "info" });
  const settings = pluginSettings(args, { log, json: false });
  const { host, confined } = await loadPlugin(file, settings);
  try {
    print(`${host.manifest.name}: ${host.manifest.description || "no description"}`);
    print(`  runs: ${confined ? "in a sandbox" : "in the server's process: it ships with fsh"}`);
    printPermissions(host.manifest, settings);
    printOptions(host.manifest);
    return await tryHooks(host, log);
  } finally {
    await host.stop();
  }
}

function printPermissions(manifest: Manifest, { allow }: PluginSettings): void {
  const granted = grantedPermissions(manifest, allow);
  const asked = Object.entries(manifest.permissions);
  if (asked.length === 0) print("  permissions: none");
  for (const [kind, names] of asked) {
    const how = kind in granted ? "given" : `not given; --plugin-allow ${manifest.name}.${kind}`;
    print(`  permission ${kind}: ${names.join(", ")} (${how})`);
  }
}

function printOptions({ name, options }: Manifest): void {
  for (const [key, { type, default: fallback, help }] of Object.entries(options)) {
    print(`  option ${name}.${key}: ${type}${fallback === undefined ? "" : ` [${fallback}]`}: ${help}`);
  }
}

async function tryHooks(host: PluginHost, log: Log): Promise<number> {
  let failures = 0;
  for (const hook of host.manifest.hooks) {
    const events = sampleEvents(hook);
    const replies = await callAll(host, { hook, events });
    print(`  hook ${hook} (${hookRow(hook).kind}):`);
    for (const [index, event] of events.entries()) {
      const reply = replies[index] ?? { failure: "no answer" };
      const { path, method } = event as { path?: string; method?: string };
      const about = path ?? method ?? "a sample event";
      if ("failure" in reply) {
        failures++;
        print(`    ${about}: FAILED: ${reply.failure.replaceAll("\n", "\n      ")}`);
      } else print(`    ${about}: ${reply.answer === undefined ? "no opinion" : JSON.stringify(reply.answer)}`);
    }
  }
  if (host.manifest.hooks.length === 0) log.warn("the plugin has no hooks: it does nothing");
  print(failures === 0 ? "all hooks answered" : `${failures} calls failed`);
  return failures === 0 ? 0 : 1;
}
