import { Deadline, passAfter } from "./deadline.ts";
import type { HookEvent } from "./event.ts";
import { type HookName, hookRow } from "./hooks.ts";
import type { PluginHost, Reply } from "./host.ts";
import { describeThrown } from "./thrown.ts";

/**
 * Calls a hook for several events. Each is answered once, as soon as its reply is there; what has not come by the deadline
 * is a failure.
 */
export function callWithin<N extends HookName>(
  host: PluginHost,
  call: { readonly hook: N; readonly events: readonly HookEvent<N>[] },
  answered: (index: number, reply: Reply) => void,
): void {
  const { hook, events } = call;
  const limit = host.manifest.deadlines[hook] ?? hookRow(hook).deadline;
  const deadline = new Deadline();
  const isOpen = events.map(() => true);
  let open = events.length;
  const answer = (index: number, reply: Reply) => {
    if (!isOpen[index]) return;
    isOpen[index] = false;
    if (--open === 0) end();
    answered(index, reply);
  };
  const failRest = (failure: string) => {
    for (let index = 0; index < events.length; index++) answer(index, { failure });
  };
  deadline.onPass(() => failRest(`no answer within ${limit} ms`));
  const end = passAfter(limit, deadline);
  try {
    host.call(hook, events, { deadline, answered: answer });
  } catch (error) {
    // It should not have; whoever waits is answered all the same.
    failRest(describeThrown(error));
  }
}

/** As `callWithin`; resolves once all are answered, with the replies in the order of the events. */
export function callAll<N extends HookName>(
  host: PluginHost,
  call: { readonly hook: N; readonly events: readonly HookEvent<N>[] },
): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  let open = call.events.length;
  if (open === 0) return Promise.resolve(replies);
  return new Promise((resolve) => {
    callWithin(host, call, (index, reply) => {
      replies[index] = reply;
      if (--open === 0) resolve(replies);
    });
  });
}
