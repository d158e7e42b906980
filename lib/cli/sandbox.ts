import type { PluginPermissions } from "../hooks/plugin.ts";
import { runSandboxProcess } from "../hooks/sandbox_process.ts";
import type { Launch } from "../hooks/sandbox_host.ts";

/** First argument of the process around a plugin's sandbox. Not for people. */
export const SANDBOX = "--plugin-sandbox";

/** Starts this program again, as the process around a sandbox. */
export const launchSandbox: Launch = (permissions) => {
  const own = [SANDBOX, JSON.stringify(permissions)];
  if (Deno.build.standalone) return { command: Deno.execPath(), args: own };
  const program = new URL("../../main.ts", import.meta.url).href;
  const flags = ["--quiet", "--allow-all", "--v8-flags=--disallow-code-generation-from-strings"];
  return { command: Deno.execPath(), args: ["run", ...flags, program, ...own] };
};

/** The process around a sandbox, from its start to its end. */
export async function sandboxMain(argument: string | undefined): Promise<number> {
  return await runSandboxProcess(JSON.parse(argument ?? "{}") as PluginPermissions);
}
