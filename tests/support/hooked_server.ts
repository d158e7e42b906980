import { Log, type LogRecord } from "../../lib/base/log.ts";
import type { HookEvent } from "../../lib/hooks/event.ts";
import { InProcessHost } from "../../lib/hooks/in_process.ts";
import { HookRunner } from "../../lib/hooks/runner.ts";
import type { Hooks, Plugin } from "../../lib/hooks/plugin.ts";
import { LocalStorage } from "../../lib/storage/local.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { RecordingStorage } from "./recording_storage.ts";
import { type RunningOptions, RunningServer } from "./running_server.ts";

export interface HookedOptions extends Omit<RunningOptions, "hooks" | "storage"> {
  /** Folders are those whose paths end in `/`; of links, `target` is what they say. */
  readonly tree?: Readonly<Record<string, string | { readonly target: string }>>;
  readonly plugins: readonly Plugin[];
}

/** A server over a real folder with plugins, and all that storage and plugins were asked. */
export class HookedServer implements AsyncDisposable {
  /** `operation path` for storage calls. */
  readonly notes: string[];
  pluginLog: readonly LogRecord[] = [];

  private constructor(
    readonly running: RunningServer,
    readonly runner: HookRunner,
    readonly folder: string,
    storage: RecordingStorage,
    readonly close: () => Promise<void>,
  ) {
    this.notes = storage.notes;
  }

  static async start({ tree = {}, plugins, ...options }: HookedOptions): Promise<HookedServer> {
    const folder = await Deno.makeTempDir({ prefix: "fsh-test-" });
    await grow(folder, tree);
    const local: Storage = await LocalStorage.open(folder, { durability: "none" });
    const storage = new RecordingStorage(local);
    const records: LogRecord[] = [];
    const log = new Log("debug", (record) => records.push(record));
    const runner = new HookRunner(await hostsOf(plugins, log), log);
    const running = await RunningServer.start({ ...options, hooks: runner, storage });
    const server = new HookedServer(running, runner, folder, storage, async () => {
      await running[Symbol.asyncDispose]();
      await runner.stop();
      local.close();
      await Deno.remove(folder, { recursive: true });
    });
    server.pluginLog = records;
    return server;
  }

  /** What the storage was asked since the last call, links aside. */
  touched(): string[] {
    return this.notes.splice(0).filter((note) => !note.startsWith("resolve "));
  }

  /** Everything in the folder: contents of files, texts of links. */
  snapshot(): Record<string, string> {
    const found: Record<string, string> = {};
    const look = (path: string) => {
      for (const entry of Deno.readDirSync(this.folder + path)) {
        const name = `${path}/${entry.name}`;
        if (entry.isSymlink) found[name] = `-> ${Deno.readLinkSync(this.folder + name)}`;
        else if (entry.isFile) found[name] = Deno.readTextFileSync(this.folder + name);
        else found[name + "/"] = "", look(name);
      }
    };
    look("");
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export async function hostsOf(plugins: readonly Plugin[], log: Log): Promise<InProcessHost[]> {
  return await Promise.all(plugins.map((plugin) => InProcessHost.start(plugin, { log })));
}

/** A plugin of these hooks alone. */
export function pluginOf(hooks: Hooks, rest: Partial<Plugin> = {}): Plugin {
  return { name: "rules", hooks, ...rest };
}

/** A plugin that writes down what it observes. */
export function observer(): Plugin & { readonly seen: HookEvent[] } {
  const seen: HookEvent[] = [];
  const take = (event: HookEvent) => void seen.push(event);
  return {
    name: "observer",
    seen,
    hooks: { committed: take, completed: take, failed: take, disconnect: take, log: take },
  };
}

async function grow(folder: string, tree: NonNullable<HookedOptions["tree"]>): Promise<void> {
  for (const [path, what] of Object.entries(tree)) {
    await Deno.mkdir(folder + path.slice(0, path.lastIndexOf("/")), { recursive: true });
    if (typeof what === "object") await Deno.symlink(what.target, folder + path);
    else if (!path.endsWith("/")) await Deno.writeTextFile(folder + path, what);
  }
}
