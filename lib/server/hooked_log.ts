import type { Log } from "../base/log.ts";
import type { EventSession, User } from "../hooks/event.ts";
import type { HookRunner } from "../hooks/runner.ts";

/** Of records that belong to no session. */
const NOBODY: EventSession = { id: "", address: "", port: 0, secure: true };

/**
 * The same log, whose records the plugins hear of, too. Those about plugins that failed carry `unhooked` and are kept from
 * them, or each would make the next.
 */
export function hookedLog(
  log: Log,
  runner: HookRunner,
  whose: () => { readonly session: EventSession; readonly user?: User } = () => ({ session: NOBODY }),
): Log {
  return log.through((sink) => (record) => {
    sink(record);
    const { level, message, fields } = record;
    if (fields.unhooked === true || !runner.current.has("log")) return;
    runner.current.observe("log", { ...whose(), level, message, fields });
  });
}
