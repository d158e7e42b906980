import type { Log } from "../base/log.ts";
import type { PluginManager } from "../hooks/plugin_manager.ts";
import type { ReloadFact } from "../server/control.ts";
import type { MutualTrust } from "./mutual.ts";
import type { ServerTls } from "./serve_tls.ts";

/** Plugins and certificates; what can't be used is logged and told, and changes nothing. */
export async function reloadAll(
  { plugins, tls, mutual, log }: {
    readonly plugins: PluginManager;
    readonly tls: ServerTls | null;
    readonly mutual: MutualTrust | undefined;
    readonly log: Log;
  },
): Promise<readonly ReloadFact[]> {
  const [loaded, ...errors] = await Promise.all([plugins.reload({ all: true }), tls?.reload(), mutual?.reload(log)]);
  const others = errors.map((error, at) => ({ what: ["certificate", "client certificates"][at] ?? "", error }));
  return [...loaded, ...others.flatMap(({ what, error }) => error === undefined ? [] : [{ what, error }])];
}

/** SIGHUP loads plugins and certificates anew, where there is such a signal. */
export function onHangup(reload: () => void, stack: AsyncDisposableStack): void {
  if (Deno.build.os === "windows") return;
  Deno.addSignalListener("SIGHUP", reload);
  stack.defer(() => Deno.removeSignalListener("SIGHUP", reload));
}
