import { basename, extname } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { type Manifest, type PluginHost } from "./host.ts";
import { InProcessHost } from "./in_process.ts";
import type { Plugin, PluginPermissions } from "./plugin.ts";
import { type GivenOptions, pluginOptions } from "./plugin_options.ts";
import { asPlugin } from "./plugin_shape.ts";
import type { PluginSource } from "./plugin_source.ts";
import { type Launch, SandboxHost } from "./sandbox_host.ts";
import { messageOf } from "./thrown.ts";

/** What the operator says of plugins. */
export interface PluginSettings {
  /** Files, or names of plugins that ship with fsh, in the order in which they are asked. */
  readonly plugins: readonly string[];
  readonly options: GivenOptions;
  /** `NAME`: all that it asks for; `NAME.KIND`: one kind of permission. */
  readonly allow: readonly string[];
  /** Files or names of plugins that run in this process. */
  readonly trust: readonly string[];
  readonly shipped: Readonly<Record<string, () => Plugin | Promise<Plugin>>>;
  readonly launch: Launch;
  readonly log: Log;
  readonly print: (text: string, plugin: string) => void;
  /** The most that a plugin may be granted; without it, all that `allow` says. */
  readonly most?: PluginPermissions;
}

/** A plugin that runs. */
export interface LoadedPlugin {
  readonly host: PluginHost;
  /** Files that it was read from; none for one that ships with fsh. */
  readonly files: readonly string[];
  /** Of its files, as they were when they were read. */
  readonly stamp: string;
  /** Whether it runs in a sandbox. */
  readonly confined: boolean;
}

/** Loads and starts one plugin. @throws {FshError} PLUGIN_FAILED, USAGE */
export async function loadPlugin(reference: string, settings: PluginSettings): Promise<LoadedPlugin> {
  const make = Object.hasOwn(settings.shipped, reference) ? settings.shipped[reference] : undefined;
  if (make) return { host: await startHere(await make(), settings), files: [], stamp: "", confined: false };
  if (!/[./\\]/.test(reference) && !await isFile(reference)) {
    const names = Object.keys(settings.shipped).join(", ");
    throw new FshError("PLUGIN_FAILED", { subject: reference, detail: `no such file; fsh brings ${names}` });
  }
  const trusted = isTrusted(reference, settings);
  // With its parser and type stripper, which take longer to load than most of fsh.
  const { readPluginSource } = await import("./plugin_source.ts");
  const source = await readPluginSource(reference, { trusted });
  if (trusted) {
    const host = await startHere(asPlugin(await importHere(source)), settings);
    return { host, files: source.files, stamp: source.stamp, confined: false };
  }
  const host = await SandboxHost.start(source, {
    launch: settings.launch,
    log: settings.log,
    print: settings.print,
    options: (manifest) => pluginOptions(manifest, settings.options),
    grant: (manifest) => granted(manifest, settings),
  });
  return { host, files: source.files, stamp: source.stamp, confined: true };
}

/** Of what a plugin asks for, what the operator allows. */
export function grantedPermissions(
  { name, permissions }: Pick<Manifest, "name" | "permissions">,
  allow: readonly string[],
): PluginPermissions {
  if (allow.includes(name)) return permissions;
  return Object.fromEntries(Object.entries(permissions).filter(([kind]) => allow.includes(`${name}.${kind}`)));
}

/** A file that has changed may not help itself to more: it may have been changed by the plugin. */
function granted(manifest: Manifest, { allow, most }: PluginSettings): PluginPermissions {
  const permissions = grantedPermissions(manifest, allow);
  for (const [kind, list] of Object.entries(most ? permissions : {}) as [keyof PluginPermissions, string[]][]) {
    const more = list.filter((one) => !most?.[kind]?.includes(one));
    if (more.length === 0) continue;
    const detail = `it asks for more than before (${kind}: ${more.join(", ")}): start the server anew for that`;
    throw new FshError("PLUGIN_FAILED", { subject: manifest.name, detail });
  }
  return permissions;
}

function isTrusted(reference: string, { trust }: PluginSettings): boolean {
  return trust.includes(reference) || trust.includes(basename(reference, extname(reference)));
}

async function startHere(plugin: Plugin, { options, log }: PluginSettings): Promise<InProcessHost> {
  const given = pluginOptions({ name: plugin.name, options: plugin.options ?? {} }, options);
  try {
    return await InProcessHost.start(plugin, { options: given, log });
  } catch (error) {
    if (error instanceof FshError) throw error;
    throw new FshError("PLUGIN_FAILED", { subject: plugin.name, detail: messageOf(error), cause: error });
  }
}

async function importHere(source: PluginSource): Promise<unknown> {
  try {
    return (await import(source.entry)).default;
  } catch (error) {
    const named = source.modules.reduce((text, [name, file]) => text.replaceAll(name, file), messageOf(error));
    throw new FshError("PLUGIN_FAILED", { subject: source.file, detail: named, cause: error });
  }
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}
