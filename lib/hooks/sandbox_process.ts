import { keepOnly } from "../base/rights.ts";
import type { PluginPermissions } from "./plugin.ts";

/** Most memory that a sandbox may have, in bytes. */
const MOST_MEMORY = 384 * 1024 * 1024;
/** Milliseconds between two looks at memory and parent. */
const LOOK_EVERY = 100;
/** Environment variable with the process id of the server. */
export const SERVER_PID = "FSH_SERVER_PID";
/** Exit status of a sandbox that took too much memory. */
export const TOO_MUCH_MEMORY = 86;

/**
 * The process around a sandbox. A Worker that loops can't be stopped from within its process, so each plugin has one of its
 * own, which the server kills. This thread stays free of the plugin: it ends the process when that takes too much memory,
 * or when the server is gone.
 */
export async function runSandboxProcess(permissions: PluginPermissions): Promise<number> {
  const server = Number(Deno.env.get(SERVER_PID));
  const worker = new Worker(new URL("./sandbox_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: workerPermissions(permissions) },
  });
  // The worker has its own by now. What is left is for Deno.kill, and where nothing is embedded, for loading modules.
  keepOnly(Deno.build.standalone ? ["run"] : ["run", "read"]);
  return await new Promise<number>((resolve) => {
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      console.error(event.message);
      resolve(1);
    });
    setInterval(() => {
      // Asked for and not remembered from the start: the server may have gone before this process looked.
      if (Deno.ppid !== server) killGroup(Deno.pid);
      if (Deno.memoryUsage().rss > MOST_MEMORY) Deno.exit(TOO_MUCH_MEMORY);
    }, LOOK_EVERY);
  });
}

/** Ends the process of a sandbox and the programs that the plugin has started, which are a group of their own. */
export function killGroup(pid: number): void {
  for (const target of Deno.build.os === "windows" ? [pid] : [-pid, pid]) {
    try {
      Deno.kill(target, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

/** What was granted, and nothing else. */
export function workerPermissions({ net, read, write, env, run }: PluginPermissions): Deno.PermissionOptionsObject {
  const list = (names: readonly string[] | undefined) => names && names.length > 0 ? [...names] : false;
  return {
    net: list(net),
    read: list(read),
    write: list(write),
    env: list(env),
    run: list(run),
    ffi: false,
    sys: false,
    import: false,
  };
}
