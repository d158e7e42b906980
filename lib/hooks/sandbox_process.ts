import type { PluginPermissions } from "./plugin.ts";

/** Most memory that a sandbox may have, in bytes. */
const MOST_MEMORY = 384 * 1024 * 1024;
/** Milliseconds between two looks at memory and parent. */
const LOOK_EVERY = 100;
/** Exit status of a sandbox that took too much memory. */
export const TOO_MUCH_MEMORY = 86;

/**
 * The process around a sandbox. A Worker that loops can't be stopped from within its process, so each plugin has one of its
 * own, which the server kills. This thread stays free of the plugin: it ends the process when that takes too much memory,
 * or when the server is gone.
 */
export async function runSandboxProcess(permissions: PluginPermissions): Promise<number> {
  const parent = Deno.ppid;
  const worker = new Worker(new URL("./sandbox_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: workerPermissions(permissions) },
  });
  return await new Promise<number>((resolve) => {
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      console.error(event.message);
      resolve(1);
    });
    setInterval(() => {
      if (Deno.ppid !== parent) Deno.exit(0);
      if (Deno.memoryUsage().rss > MOST_MEMORY) Deno.exit(TOO_MUCH_MEMORY);
    }, LOOK_EVERY);
  });
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
