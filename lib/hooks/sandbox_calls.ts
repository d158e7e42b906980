import type { EventSession, HookEvent, User } from "./event.ts";
import type { HookName } from "./hooks.ts";

/** A hook that is called for some events; the number names the replies. */
export interface Call {
  readonly type: "call";
  readonly id: number;
  readonly hook: HookName;
  readonly events: readonly HookEvent[];
}

/** Calls as they travel, for an event each: what their events have in common is told once. */
export interface Calls {
  readonly type: "calls";
  readonly common: Common;
  /** Number, and what the event has beside that. */
  readonly calls: [number, Readonly<Record<string, unknown>>][];
}

interface Common {
  readonly hook: HookName;
  readonly time: string;
  readonly session: EventSession;
  readonly user?: User | undefined;
  readonly command?: string | undefined;
}

type Told = Common & Readonly<Record<string, unknown>>;

/** Puts calls together that follow each other; most come in a burst, of one session and about one command. */
export function packCalls<M extends { readonly type: string }>(messages: readonly M[]): (M | Calls)[] {
  const packed: (M | Calls)[] = [];
  let last: Calls | null = null;
  for (const message of messages) {
    const event = soleEvent(message);
    if (!event) {
      packed.push(message);
      last = null;
      continue;
    }
    const { hook, time, session, user, command, ...own } = event;
    if (!last || !isCommon(last.common, event)) {
      last = { type: "calls", common: { hook, time, session, user, command }, calls: [] };
      packed.push(last);
    }
    last.calls.push([(message as unknown as Call).id, own]);
  }
  return packed;
}

/** The calls that went together, each with an event of its own: no hook sees what another one does to it. */
export function unpackCalls({ common, calls }: Calls): Call[] {
  const { session, user, ...rest } = common;
  return calls.map(([id, own]) => {
    const event = { ...rest, session: { ...session }, ...(user === undefined ? {} : { user: copy(user) }), ...own };
    return { type: "call", id, hook: common.hook, events: [event as unknown as HookEvent] };
  });
}

/** Bytes travel outside of the text, and several events are a message of their own. */
function soleEvent(message: { readonly type: string }): Told | null {
  if (message.type !== "call") return null;
  const { hook, events } = message as unknown as Call;
  return hook !== "content" && events.length === 1 ? events[0] as unknown as Told : null;
}

function isCommon(common: Common, event: Told): boolean {
  return common.session === event.session && common.user === event.user && common.time === event.time &&
    common.command === event.command && common.hook === event.hook;
}

function copy(user: User): User {
  return user.attributes === undefined ? { ...user } : { ...user, attributes: { ...user.attributes } };
}
