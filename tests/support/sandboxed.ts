import { join } from "@std/path";
import { Log, type LogRecord } from "../../lib/base/log.ts";
import { Deadline, passAfter } from "../../lib/hooks/deadline.ts";
import type { EventFacts } from "../../lib/hooks/event.ts";
import { makeEvent, type PluginHost, type Reply } from "../../lib/hooks/host.ts";
import type { PluginPermissions } from "../../lib/hooks/plugin.ts";
import { readPluginSource } from "../../lib/hooks/plugin_source.ts";
import { type Launch, SandboxHost } from "../../lib/hooks/sandbox_host.ts";
import { FSH } from "./program.ts";
import { repliesOf } from "./replies.ts";

/** Sandboxes in the compiled executable. */
export const launchFsh: Launch = (permissions) => ({
  command: FSH,
  args: ["--plugin-sandbox", JSON.stringify(permissions)],
});

export const SESSION = { id: "1", address: "127.0.0.1", port: 1, secure: true };

export function authorizeFacts(path: string): EventFacts<"authorize"> {
  return { session: SESSION, command: "get", path, target: undefined, size: undefined };
}

/** Asks a plugin's `authorize`. */
export async function ask(host: PluginHost, path: string, ms = 10_000): Promise<Reply> {
  const deadline = new Deadline();
  const end = passAfter(ms, deadline);
  const [reply] = await repliesOf(host, {
    hook: "authorize",
    events: [makeEvent("authorize", authorizeFacts(path))],
    deadline,
  });
  end();
  return reply ?? { failure: "no reply" };
}

/** A plugin in a sandbox of its own, with its folder; goes with the scope. */
export interface Sandboxed extends AsyncDisposable {
  readonly host: SandboxHost;
  readonly folder: string;
  readonly records: LogRecord[];
  readonly printed: string[];
}

export interface SandboxedOptions {
  readonly permissions?: PluginPermissions;
  readonly launch?: Launch;
}

export async function sandboxed(code: string, options: SandboxedOptions = {}): Promise<Sandboxed> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-sandbox-" });
  const file = join(folder, "subject.js");
  await Deno.writeTextFile(file, code);
  const records: LogRecord[] = [];
  const printed: string[] = [];
  const remove = () => Deno.remove(folder, { recursive: true });
  try {
    const host = await SandboxHost.start(await readPluginSource(file), {
      launch: options.launch ?? launchFsh,
      log: new Log("debug", (record) => records.push(record)),
      print: (text) => printed.push(text),
      options: () => ({}),
      grant: () => options.permissions ?? {},
    });
    return {
      host,
      folder,
      records,
      printed,
      async [Symbol.asyncDispose]() {
        await host.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Processes that this one has started and that work in a folder with this in its name: tests run side by side. */
export function children(folder: string): number[] {
  const threads = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => name);
  return threads.flatMap(childrenOf).filter((pid) => isAlive(pid) && workingFolder(pid).includes(folder));
}

function childrenOf(thread: string): number[] {
  try {
    return Deno.readTextFileSync(`/proc/self/task/${thread}/children`).trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function workingFolder(pid: number): string {
  try {
    return Deno.readLinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

/** Whether a process is there and no zombie (proc(5)). */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
