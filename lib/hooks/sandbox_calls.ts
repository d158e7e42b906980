import type { EventSession, HookEvent, User } from "./event.ts";
import { type FactName, type HookName, hookRow } from "./hooks.ts";

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
  /** How many events there are. */
  count: number;
  /** What is the events' own, fact by fact: lists of values take a fraction of the time that objects take. */
  readonly own: { readonly [F in FactName]?: unknown[] };
}

interface Common {
  readonly time: string;
  readonly session: EventSession;
  readonly user?: User | undefined;
  readonly command?: string | undefined;
}

type Told = Common & { readonly [F in FactName]?: unknown };

/** Most events come in a burst, of one session and about one command. */
export function packCall({ id, hook, events }: Call): PackedCall {
  const names = hookRow(hook).facts;
  const groups: Group[] = [];
  let last: Group | null = null;
  for (const event of events as readonly unknown[] as readonly Told[]) {
    if (!last || !isAlike(last, event, names)) groups.push(last = newGroup(event, names));
    last.count++;
    for (const name of names) last.own[name]?.push(event[name]);
  }
  return { type: "calls", id, hook, groups };
}

/** The call again, each event a copy of its own: no hook sees what another one does to it. */
export function unpackCall({ id, hook, groups }: PackedCall): Call {
  const events: unknown[] = [];
  for (const { common: { time, session, user, command }, count, own } of groups) {
    const columns = Object.entries(own);
    for (let at = 0; at < count; at++) {
      const event: Record<string, unknown> = { hook, time, session: copySession(session) };
      if (user !== undefined) event.user = copyUser(user);
      if (command !== undefined) event.command = command;
      for (const [name, values] of columns) event[name] = values[at];
      events.push(event);
    }
  }
  return { type: "call", id, hook, events: events as HookEvent[] };
}

function newGroup(event: Told, names: readonly FactName[]): Group {
  const { time, session, user, command } = event;
  const own: { [F in FactName]?: unknown[] } = {};
  for (const name of names) if (name !== "command" && event[name] !== undefined) own[name] = [];
  return { common: { time, session, user, command }, count: 0, own };
}

/** Whether the event has the same in common, and the same facts: a list has no place for one that is not there. */
function isAlike({ common, own }: Group, event: Told, names: readonly FactName[]): boolean {
  if (common.session !== event.session || common.user !== event.user) return false;
  if (common.time !== event.time || common.command !== event.command) return false;
  for (const name of names) {
    if (name !== "command" && (own[name] === undefined) !== (event[name] === undefined)) return false;
  }
  return true;
}

function copySession(session: EventSession): EventSession {
  return session?.certificate === undefined ? { ...session } : { ...session, certificate: { ...session.certificate } };
}

function copyUser(user: User): User {
  return user.attributes === undefined ? { ...user } : { ...user, attributes: { ...user.attributes } };
}
