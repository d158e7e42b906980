import type { HookEvent } from "./event.ts";
import { type HookName, hookRow } from "./hooks.ts";
import type { PluginHost, Reply } from "./host.ts";

/** Calls a hook; whatever has not come by its deadline is a failure. */
export async function callWithin<N extends HookName>(
  host: PluginHost,
  hook: N,
  events: readonly HookEvent<N>[],
): Promise<readonly Reply[]> {
  const limit = host.manifest.deadlines[hook] ?? hookRow(hook).deadline;
  const controller = new AbortController();
  const late = Promise.withResolvers<readonly Reply[]>();
  const timer = setTimeout(() => {
    controller.abort();
    late.resolve(events.map(() => ({ failure: `no answer within ${limit} ms` })));
  }, limit);
  try {
    return await Promise.race([host.call(hook, events, controller.signal), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
