import type { EventSession, HookEvent, User } from "./event.ts";
import type { HookName } from "./hooks.ts";

/** A hook that is called for some events; the number names it in the replies. */
export interface Call {
  readonly type: "call";
  readonly id: number;
  readonly hook: HookName;
  readonly events: readonly HookEvent[];
}

/** A call as it travels: what events that follow each other have in common is told once. */
export interface PackedCall {
  readonly type: "calls";
  readonly id: number;
  readonly hook: HookName;
  readonly groups: readonly Group[];
}

interface Group {
  readonly common: Common;
  /** What each event has beside that. */
  readonly own: Readonly<Record<string, unknown>>[];
}

interface Common {
  readonly hook: HookName;
  readonly time: string;
  readonly session: EventSession;
  readonly user?: User | undefined;
  readonly command?: string | undefined;
}

type Told = Common & Readonly<Record<string, unknown>>;

/** Most events come in a burst, of one session and about one command. */
export function packCall({ id, hook, events }: Call): PackedCall {
  const groups: Group[] = [];
  let last: Group | null = null;
  for (const event of events as readonly unknown[] as readonly Told[]) {
    const { hook, time, session, user, command, ...own } = event;
    if (!last || !isCommon(last.common, event)) {
      groups.push(last = { common: { hook, time, session, user, command }, own: [] });
    }
    last.own.push(own);
  }
  return { type: "calls", id, hook, groups };
}

/** The call again, each event a copy of its own: no hook sees what another one does to it. */
export function unpackCall({ id, hook, groups }: PackedCall): Call {
  const events: unknown[] = [];
  for (const { common: { session, user, ...rest }, own } of groups) {
    for (const one of own) {
      const event = {
        ...rest,
        session: copy(session),
        ...(user === undefined ? {} : { user: copyUser(user) }),
        ...one,
      };
      events.push(event);
    }
  }
  return { type: "call", id, hook, events: events as HookEvent[] };
}

function isCommon(common: Common, event: Told): boolean {
  return common.session === event.session && common.user === event.user && common.time === event.time &&
    common.command === event.command;
}

function copy(session: EventSession): EventSession {
  return session?.certificate === undefined ? { ...session } : { ...session, certificate: { ...session.certificate } };
}

function copyUser(user: User): User {
  return user.attributes === undefined ? { ...user } : { ...user, attributes: { ...user.attributes } };
}
