import { Log, type LogRecord } from "../../lib/base/log.ts";
import type { EventFacts, EventSession } from "../../lib/hooks/event.ts";
import { HookSet } from "../../lib/hooks/hook_set.ts";
import { InProcessHost } from "../../lib/hooks/in_process.ts";
import type { Plugin } from "../../lib/hooks/plugin.ts";

export function session(id = "1"): EventSession {
  return { id, address: "192.0.2.1", port: 1, secure: true };
}

export function asked(path: string, from: EventSession = session()): EventFacts<"authorize"> {
  return { session: from, command: "get", path, target: undefined, size: undefined };
}

export function chunkFacts(path = "/a"): EventFacts<"content"> {
  return { session: session(), command: "put", path, size: 1, transfer: "1", chunk: new Uint8Array([1]), offset: 0 };
}

export function logged(message: string): EventFacts<"log"> {
  return { session: session(), level: "info", message, fields: {} };
}

export interface LoggedSet {
  readonly set: HookSet;
  readonly records: LogRecord[];
}

/** A set of plugins in this process, in their order. */
export async function hookSet(...plugins: Plugin[]): Promise<LoggedSet> {
  const records: LogRecord[] = [];
  const log = new Log("debug", (record) => records.push(record));
  const hosts = await Promise.all(plugins.map((plugin) => InProcessHost.start(plugin, { log })));
  return { set: new HookSet(hosts, log), records };
}
