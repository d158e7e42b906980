import { type Clock, systemClock } from "../base/clock.ts";
import type { Log, LogRecord, LogSink } from "../base/log.ts";
import type { PerAddress } from "./limits.ts";
import { peerAddress } from "./peer_address.ts";

/** Milliseconds for which lines are counted together. */
export const WINDOW = 60_000;
/** Addresses that are told apart within a window; all others count as one. */
const MOST_ADDRESSES = 10_000;
const OTHERS = "others";

/**
 * A peer can't fill the disk with lines about itself: of each address so many a minute at the levels info and warn, and
 * then one line that says how many were left out. Errors are this side's and always said; debug and trace were asked for.
 */
export class LineLimit {
  readonly #options: PerAddress & { readonly clock?: Clock; readonly suppressed?: () => void };
  readonly #counts = new Map<string, { lines: number; log: LogSink }>();
  #cancel: (() => void) | null = null;

  constructor(options: PerAddress & { readonly clock?: Clock; readonly suppressed?: () => void }) {
    this.#options = options;
  }

  wrap(log: Log): Log {
    if (this.#options.most === Infinity) return log;
    return log.through((sink) => (record) => {
      if (this.#mayPass(record, sink)) sink(record);
      else this.#options.suppressed?.();
    });
  }

  /** Says what was left out so far. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    const { most } = this.#options;
    for (const [address, { lines, log }] of this.#counts) {
      if (lines <= most) continue;
      const fields = { address, lines: lines - most, limit: most };
      log({ time: new Date(), level: "warn", message: "log lines left out", fields });
    }
    this.#counts.clear();
  }

  #mayPass({ level, fields: { remote } }: LogRecord, sink: LogSink): boolean {
    if (typeof remote !== "string" || (level !== "info" && level !== "warn")) return true;
    const { key, local } = peerAddress(remote);
    if (local && !this.#options.local) return true;
    const known = this.#counts.has(key) || this.#counts.size < MOST_ADDRESSES ? key : OTHERS;
    const count = this.#counts.get(known) ?? { lines: 0, log: sink };
    if (count.lines === 0) this.#counts.set(known, count);
    this.#cancel ??= (this.#options.clock ?? systemClock).after(WINDOW, () => this.flush());
    return ++count.lines <= this.#options.most;
  }
}
