// Stands for a server: starts a plugin's sandbox, says which process that is, and has it do what the path says.
import { silentLog } from "../../lib/base/log.ts";
import { readPluginSource } from "../../lib/hooks/plugin_source.ts";
import { SandboxConnection } from "../../lib/hooks/sandbox_connection.ts";
import { SandboxHost } from "../../lib/hooks/sandbox_host.ts";
import { ask, launchFsh } from "./sandboxed.ts";

const [file = "", path = ""] = Deno.args;
if (path === "/unborn") {
  const { command, args } = launchFsh({});
  const permissions = {};
  const connection = new SandboxConnection({ command, args, file, name: "x", permissions, log: silentLog, print() {} });
  console.log(connection.pid);
} else {
  const options = { launch: launchFsh, log: silentLog, print() {}, options: () => ({}), grant: () => ({}) };
  const host = await SandboxHost.start(await readPluginSource(file), options);
  const call = ask(host, path, 60_000);
  console.log(host.pid);
  await call;
}
