import { FshError } from "../base/errors.ts";
import { stampOf } from "./file_stamp.ts";
import { grantedPermissions, type LoadedPlugin, loadPlugin, type PluginSettings } from "./plugin_loader.ts";
import type { PluginPermissions } from "./plugin.ts";
import { HookRunner } from "./runner.ts";
import { messageOf } from "./thrown.ts";

/** Milliseconds between two looks whether a plugin's files have changed. */
const LOOK_EVERY = 500;

interface Entry {
  readonly reference: string;
  loaded: LoadedPlugin;
  /** What it was granted when the server started, which the operator was shown. */
  readonly granted: PluginPermissions;
  /** Its files as they were when they were last read, whatever came of it. */
  stamp: string;
  /** Its files as they were at the last look. */
  seen: string;
}

/** What came of loading a plugin anew. */
export interface Reloaded {
  /** The plugin's name. */
  readonly what: string;
  /** Null: the new version is in force; otherwise why the old one still is. */
  readonly error: string | null;
}

/** Loads a server's plugins, and loads them anew when their files change: a version that fails leaves the old one. */
export class PluginManager {
  readonly runner: HookRunner;
  readonly #settings: PluginSettings;
  readonly #entries: Entry[];
  #timer: number | null = null;
  #busy: Promise<void> = Promise.resolve();
  #stopped = false;

  private constructor(settings: PluginSettings, entries: Entry[]) {
    this.#settings = settings;
    this.#entries = entries;
    this.runner = new HookRunner(entries.map(({ loaded }) => loaded.host), settings.log);
    this.#lookLater();
  }

  /** @throws {FshError} PLUGIN_FAILED, USAGE: nothing is left running then */
  static async start(settings: PluginSettings): Promise<PluginManager> {
    const entries: Entry[] = [];
    try {
      for (const reference of settings.plugins) {
        const loaded = await loadPlugin(reference, settings);
        const granted = grantedPermissions(loaded.host.manifest, settings.allow);
        const { stamp } = loaded;
        entries.push({ reference, loaded, granted, stamp, seen: stamp });
        checkNames(entries);
        announce("plugin loaded", loaded, settings);
      }
      checkSettings(entries, settings);
    } catch (error) {
      await Promise.all(entries.map(({ loaded }) => loaded.host.stop()));
      throw error;
    }
    return new PluginManager(settings, entries);
  }

  /** Loads anew what has changed, or everything; those that fail stay as they were. */
  reload(options: { readonly all?: boolean } = {}): Promise<readonly Reloaded[]> {
    return this.#reloadThose(({ loaded, stamp }, now) => loaded.files.length > 0 && (options.all || now !== stamp));
  }

  #reloadThose(due: (entry: Entry, now: string) => boolean): Promise<readonly Reloaded[]> {
    const reloading = this.#busy.then(() => this.#reload(due));
    this.#busy = reloading.then(() => {});
    return reloading;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#busy;
    await this.runner.stop();
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#look().finally(() => this.#lookLater()), LOOK_EVERY);
  }

  /** Loads what has changed and then stayed the same for a while: half a file may be a plugin, too. */
  async #look(): Promise<void> {
    await this.#reloadThose((entry, now) => {
      const settled = now === entry.seen;
      entry.seen = now;
      return settled && now !== entry.stamp;
    });
  }

  async #reload(due: (entry: Entry, now: string) => boolean): Promise<readonly Reloaded[]> {
    const { log } = this.#settings;
    const outcomes: Reloaded[] = [];
    for (const entry of this.#entries) {
      if (this.#stopped) return outcomes;
      const stamp = await stampOf(entry.loaded.files);
      if (!due(entry, stamp)) continue;
      entry.stamp = stamp;
      const { name } = entry.loaded.host.manifest;
      try {
        const loaded = await loadPlugin(entry.reference, { ...this.#settings, most: entry.granted });
        if (loaded.host.manifest.name !== name) {
          await loaded.host.stop();
          throw new FshError("PLUGIN_FAILED", {
            subject: entry.reference,
            detail: `it was ${name} and calls itself ${loaded.host.manifest.name} now: start the server anew for that`,
          });
        }
        entry.loaded = loaded;
        entry.stamp = loaded.stamp;
        outcomes.push({ what: name, error: null });
        announce("plugin loaded anew", loaded, this.#settings);
      } catch (error) {
        const reason = messageOf(error);
        outcomes.push({ what: name, error: reason });
        log.error("the new version of a plugin can't be used; the old one stays", { reason, unhooked: true });
      }
    }
    if (outcomes.some(({ error }) => error === null)) this.runner.swap(this.#entries.map(({ loaded }) => loaded.host));
    return outcomes;
  }
}

function checkNames(entries: readonly Entry[]): void {
  const names = entries.map(({ loaded }) => loaded.host.manifest.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new FshError("USAGE", { subject: `--plugin ${entries.at(-1)?.reference}`, detail: `there are two ${twice}` });
  }
}

/** Options, permissions and trust for plugins that are not there are mistakes. */
function checkSettings(entries: readonly Entry[], { options, allow, trust }: PluginSettings): void {
  const names = entries.map(({ loaded }) => loaded.host.manifest.name);
  const known = (name: string) => names.includes(name);
  const stranger = [...options.keys()].find((name) => !known(name));
  if (stranger !== undefined) {
    const detail = `there is no plugin ${stranger}; there are ${names.join(", ") || "none"}`;
    throw new FshError("USAGE", { subject: `--plugin-option ${stranger}`, detail });
  }
  const allowed = allow.find((text) => !known(text.split(".")[0] ?? ""));
  if (allowed !== undefined) {
    throw new FshError("USAGE", { subject: `--plugin-allow ${allowed}`, detail: "there is no plugin of that name" });
  }
  const trusted = trust.find((text) =>
    !entries.some(({ reference, loaded }) => !loaded.confined && reference.includes(text))
  );
  if (trusted !== undefined) {
    throw new FshError("USAGE", { subject: `--plugin-trust ${trusted}`, detail: "there is no plugin of that name" });
  }
}

function announce(message: string, { host, confined, files }: LoadedPlugin, { log, allow }: PluginSettings): void {
  const { name, hooks, permissions } = host.manifest;
  const granted = confined ? grantedPermissions(host.manifest, allow) : {};
  const refused = Object.keys(permissions).filter((kind) => confined && !(kind in granted));
  log.info(message, {
    plugin: name,
    file: files[0],
    hooks: hooks.join(","),
    runs: confined ? "in a sandbox" : "in this process",
    allowed: confined ? JSON.stringify(granted) : undefined,
    unhooked: true,
  });
  if (refused.length > 0) {
    const how = refused.map((kind) => `--plugin-allow ${name}.${kind}`).join(" ");
    log.warn("a plugin asks for permissions that it was not given", { plugin: name, allow: how, unhooked: true });
  }
}
