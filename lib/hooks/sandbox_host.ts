import { isAbsolute, resolve } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import { type Asker, failAll, type Manifest, type PluginHost } from "./host.ts";
import type { OptionValue, PluginPermissions } from "./plugin.ts";
import type { PluginSource } from "./plugin_source.ts";
import { SandboxConnection } from "./sandbox_connection.ts";

/** Milliseconds that a plugin has to load and to start. */
const START_LIMIT = 10_000;
/** Milliseconds within which a plugin that let a deadline pass must show that it lives. */
const PING_LIMIT = 1_000;
/** Milliseconds between two looks whether it lives. */
const PING_EVERY = 10_000;
/** Pauses before a plugin is started again, in milliseconds: the first, and the longest; each doubles the one before. */
const RESTART_PAUSE = { first: 100, longest: 30_000 };
/** A plugin that lasted so long, in milliseconds, begins with the first pause again. */
const LASTED = 60_000;

/** How the process around a sandbox is started. */
export type Launch = (permissions: PluginPermissions) => { readonly command: string; readonly args: readonly string[] };

export interface SandboxOptions {
  readonly launch: Launch;
  readonly log: Log;
  /** Gets what the plugin prints, a line or more. */
  readonly print: (text: string, plugin: string) => void;
  /** Checks the options that were given against what the plugin declares, and adds defaults. */
  readonly options: (manifest: Manifest) => Readonly<Record<string, OptionValue>>;
  /** What of the permissions that it asks for is granted. */
  readonly grant: (manifest: Manifest) => PluginPermissions;
}

/** Runs a plugin in a process of its own, without rights, and starts it again when it dies. */
export class SandboxHost implements PluginHost {
  readonly manifest: Manifest;
  readonly #source: PluginSource;
  readonly #options: SandboxOptions;
  readonly #granted: PluginPermissions;
  readonly #log: Log;
  #connection: SandboxConnection | null = null;
  /** The one that is being started. */
  #opening: SandboxConnection | null = null;
  #stopped = false;
  #pause = RESTART_PAUSE.first;
  #restarting: number | null = null;
  #watch: number | null = null;

  private constructor(source: PluginSource, options: SandboxOptions, manifest: Manifest) {
    this.#source = source;
    this.#options = options;
    this.manifest = manifest;
    this.#granted = absolute(options.grant(manifest), source.file);
    this.#log = options.log.with({ plugin: manifest.name, unhooked: true });
  }

  /** @throws {FshError} PLUGIN_FAILED, naming file and line of the plugin's own source */
  static async start(source: PluginSource, options: SandboxOptions): Promise<SandboxHost> {
    const first = launch(source, { ...options, permissions: {}, name: source.file });
    let host: SandboxHost;
    try {
      host = new SandboxHost(source, options, await within(first.load(source), source.file));
    } catch (error) {
      await end(first);
      throw error;
    }
    // Without any permission it can stay as it is.
    const bare = Object.values(host.#granted).every((list) => list.length === 0);
    if (!bare) await end(first);
    await host.#open(bare ? first : undefined);
    return host;
  }

  /** Loads a plugin without any permission, to learn what it is. */
  static async inspect(source: PluginSource, options: Pick<SandboxOptions, "launch" | "log" | "print">) {
    const connection = launch(source, { ...options, permissions: {}, name: source.file });
    try {
      return await within(connection.load(source), source.file);
    } finally {
      await end(connection);
    }
  }

  /** The process of the sandbox; null while it is down. */
  get pid(): number | null {
    return this.#connection?.pid ?? null;
  }

  call<N extends HookName>(hook: N, events: readonly HookEvent<N>[], asker: Asker): void {
    const connection = this.#connection;
    if (!connection) {
      return failAll(events.length, { asker, failure: "it has ended, and is started again in a moment" });
    }
    asker.deadline.onPass(() => this.#late(connection));
    connection.call(hook, events, asker);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restarting !== null) clearTimeout(this.#restarting);
    if (this.#watch !== null) clearInterval(this.#watch);
    const connection = this.#connection;
    this.#connection = null;
    this.#opening?.kill();
    await this.#opening?.ended;
    await connection?.stop();
  }

  /** Starts a process, or the plugin in the one that has loaded it. */
  async #open(loaded?: SandboxConnection): Promise<void> {
    const { log, print, launch: how } = this.#options;
    const { name } = this.manifest;
    const connection = loaded ?? launch(this.#source, { launch: how, log, print, permissions: this.#granted, name });
    connection.name = name;
    this.#opening = connection;
    try {
      if (!loaded) await within(connection.load(this.#source), name);
      await within(connection.start(this.#options.options(this.manifest)), name);
    } catch (error) {
      await end(connection);
      throw error;
    } finally {
      this.#opening = null;
    }
    this.#connection = connection;
    const begun = performance.now();
    this.#watch = setInterval(() => this.#late(connection), PING_EVERY);
    connection.ended.then((reason) => {
      if (this.#watch !== null) clearInterval(this.#watch);
      if (this.#stopped) return;
      this.#connection = null;
      if (performance.now() - begun > LASTED) this.#pause = RESTART_PAUSE.first;
      this.#log.error("a plugin has ended and is started again", { reason, pause: this.#pause / 1000 });
      this.#reopenLater();
    });
    if (this.#stopped) connection.kill();
  }

  #reopenLater(): void {
    this.#restarting = setTimeout(() => {
      this.#open().then(
        () => this.#log.info("the plugin runs again"),
        (error) => {
          this.#log.error("a plugin can't be started again", { reason: String(error), pause: this.#pause / 1000 });
          if (!this.#stopped) this.#reopenLater();
        },
      );
    }, this.#pause);
    this.#pause = Math.min(RESTART_PAUSE.longest, this.#pause * 2);
  }

  /** It let a deadline pass: that may be its right, but then it answers a ping. */
  #late(connection: SandboxConnection): void {
    if (this.#stopped) return;
    let timer: number;
    const begun = performance.now();
    const give = (up: () => void) => timer = setTimeout(up, PING_LIMIT);
    const kill = () => connection.kill("it did not answer any more");
    // A server that was itself held up has not heard yet what was said meanwhile.
    give(() => performance.now() - begun > 1.5 * PING_LIMIT ? give(kill) : kill());
    connection.ping().finally(() => clearTimeout(timer));
  }
}

function launch(
  source: PluginSource,
  options: Pick<SandboxOptions, "launch" | "log" | "print"> & { permissions: PluginPermissions; name: string },
): SandboxConnection {
  const { command, args } = options.launch(options.permissions);
  try {
    return new SandboxConnection({ ...options, command, args, file: source.file });
  } catch (error) {
    const detail = `its process can't be started (${error instanceof Error ? error.message : error})`;
    throw new FshError("PLUGIN_FAILED", { subject: options.name, detail, cause: error });
  }
}

async function end(connection: SandboxConnection): Promise<void> {
  connection.kill();
  await connection.ended;
}

async function within<T>(work: Promise<T>, subject: string): Promise<T> {
  let timer: number | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new FshError("PLUGIN_FAILED", { subject, detail: `not ready within ${START_LIMIT / 1000} s` });
    timer = setTimeout(() => reject(error), START_LIMIT);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Relative paths are meant from the plugin's file. */
function absolute(permissions: PluginPermissions, file: string): PluginPermissions {
  const from = (paths: readonly string[] | undefined) =>
    paths?.map((path) => isAbsolute(path) ? path : resolve(file, "..", path));
  const { read, write } = permissions;
  return {
    ...permissions,
    ...(read ? { read: from(read) ?? [] } : {}),
    ...(write ? { write: from(write) ?? [] } : {}),
  };
}
