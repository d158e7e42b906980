import type { FshError } from "../base/errors.ts";
import { LIMIT_NAMES, type LimitName, limitOf, LIMITS } from "./limits.ts";

/** Numbers of one name: a gauge goes up and down, a counter only up. */
export interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly values: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** What is looked up only when somebody asks. */
export interface Live {
  readonly sessions: number;
  readonly unknown: number;
  readonly files: number;
  /** Bytes of the sessions that are open. */
  readonly received: number;
  readonly sent: number;
  readonly pluginFailures: number;
}

/** What a server counts. Counting is adding to a plain number; everything else happens when somebody asks. */
export class Metrics {
  /** Sessions that somebody was let in to. */
  opened = 0;
  /** Transfers under way. */
  transfers = 0;
  heartbeatsMissed = 0;
  linesSuppressed = 0;
  /** Bytes of sessions that have ended. */
  received = 0;
  sent = 0;
  readonly #refused = new Map<string, number>();
  readonly #requests = new Map<string, Map<string, number>>();
  readonly #hits = new Map<LimitName, number>();
  readonly #live: () => Live;

  constructor(live: () => Live) {
    this.#live = live;
  }

  /** A client was not let in. */
  refused(error: FshError): void {
    add(this.#refused, error.error);
    this.failed(error);
  }

  /** A request was answered; null: well. */
  answered(command: string, error: FshError | null): void {
    let outcomes = this.#requests.get(command);
    if (!outcomes) this.#requests.set(command, outcomes = new Map());
    add(outcomes, error?.error ?? "ok");
    if (error) this.failed(error);
  }

  /** Something failed on this side: perhaps at a limit. */
  failed(error: FshError): void {
    const limit = limitOf(error);
    if (limit) this.hit(limit);
  }

  hit(limit: LimitName): void {
    add(this.#hits, limit);
  }

  /** How often a limit was hit. */
  hits(limit: LimitName): number {
    return this.#hits.get(limit) ?? 0;
  }

  all(): Metric[] {
    const live = this.#live();
    const one = (name: string, type: Metric["type"], help: string, value: number): Metric => {
      return { name, type, help, values: [{ labels: {}, value }] };
    };
    return [
      one("fsh_sessions", "gauge", "Clients that are connected", live.sessions),
      one("fsh_sessions_unauthenticated", "gauge", "Those of them that nobody was let in for yet", live.unknown),
      one("fsh_sessions_opened_total", "counter", "Sessions that somebody was let in to", this.opened),
      {
        name: "fsh_refused_total",
        type: "counter",
        help: "Clients that were not let in, by the error that they were told",
        values: [...this.#refused].map(([reason, value]) => ({ labels: { reason }, value })),
      },
      {
        name: "fsh_requests_total",
        type: "counter",
        help: "Requests that have ended, by command and outcome: ok or the error",
        values: [...this.#requests].flatMap(([command, outcomes]) =>
          [...outcomes].map(([outcome, value]) => ({ labels: { command, outcome }, value }))
        ),
      },
      {
        name: "fsh_bytes_total",
        type: "counter",
        help: "Bytes of all sessions, framing included, by direction",
        values: [
          { labels: { direction: "in" }, value: this.received + live.received },
          { labels: { direction: "out" }, value: this.sent + live.sent },
        ],
      },
      one("fsh_transfers", "gauge", "Requests under way that move files", this.transfers),
      one("fsh_open_files", "gauge", "Files being read or written", live.files),
      one("fsh_heartbeats_missed_total", "counter", "PINGs that were not answered in time", this.heartbeatsMissed),
      one("fsh_plugin_failures_total", "counter", "Errors of plugins", live.pluginFailures),
      one("fsh_log_lines_suppressed_total", "counter", "Log lines left out", this.linesSuppressed),
      {
        name: "fsh_limit_hits_total",
        type: "counter",
        help: "How often a limit was hit, by the option that sets it",
        values: LIMIT_NAMES.map((name) => ({ labels: { limit: LIMITS[name].option }, value: this.hits(name) })),
      },
    ];
  }

  /** For one line of the log: what is not zero. */
  summary(): Record<string, number> {
    const { received, sent, pluginFailures } = this.#live();
    const sum = (counts: Iterable<number>) => [...counts].reduce((sum, count) => sum + count, 0);
    const outcomes = [...this.#requests.values()];
    const requests = sum(outcomes.flatMap((counts) => [...counts.values()]));
    const facts = {
      sessions: this.opened,
      refused: sum(this.#refused.values()),
      requests,
      failed: requests - sum(outcomes.map((counts) => counts.get("ok") ?? 0)),
      received: this.received + received,
      sent: this.sent + sent,
      heartbeatsMissed: this.heartbeatsMissed,
      pluginFailures,
      linesSuppressed: this.linesSuppressed,
      ...Object.fromEntries([...this.#hits].map(([name, count]) => [LIMITS[name].option, count])),
    };
    return Object.fromEntries(Object.entries(facts).filter(([, value]) => value > 0));
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
