import { Deadline, passAfter } from "./deadline.ts";
import type { HookEvent } from "./event.ts";
import { type HookName, hookRow } from "./hooks.ts";
import type { PluginHost, Reply } from "./host.ts";

/** Calls a hook; whatever has not come by its deadline is a failure. */
export function callWithin<N extends HookName>(
  host: PluginHost,
  hook: N,
  events: readonly HookEvent<N>[],
): Promise<readonly Reply[]> {
  const limit = host.manifest.deadlines[hook] ?? hookRow(hook).deadline;
  const deadline = new Deadline();
  return new Promise((resolve, reject) => {
    deadline.onPass(() => resolve(events.map(() => ({ failure: `no answer within ${limit} ms` }))));
    const end = passAfter(limit, deadline);
    host.call(hook, events, deadline).then((replies) => {
      end();
      resolve(replies);
    }, (error) => {
      end();
      reject(error);
    });
  });
}
