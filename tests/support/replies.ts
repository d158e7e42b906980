import { Deadline } from "../../lib/hooks/deadline.ts";
import type { HookEvent } from "../../lib/hooks/event.ts";
import type { HookName } from "../../lib/hooks/hooks.ts";
import type { PluginHost, Reply } from "../../lib/hooks/host.ts";

/** Calls a hook; resolves once all events are answered, with the replies in their order. */
export function repliesOf<N extends HookName>(
  host: PluginHost,
  call: { hook: N; events: readonly HookEvent<N>[]; deadline?: Deadline },
): Promise<readonly Reply[]> {
  const { hook, events, deadline = new Deadline() } = call;
  const replies: Reply[] = [];
  let open = events.length;
  return new Promise((resolve, reject) => {
    const answered = (index: number, reply: Reply) => {
      if (replies[index] !== undefined) reject(new Error(`event ${index} was answered twice`));
      replies[index] = reply;
      if (--open === 0) resolve(replies);
    };
    host.call(hook, events, { deadline, answered });
  });
}
