/**
 * `rate-guard`: failed logins and too many connections slow an address down, and then keep it out for a while.
 *
 * After a failed login the next connection from there waits, twice as long each time; after `max-failures` within
 * `window` seconds the address is banned for `ban` seconds: its connections are refused. A connection is good for one
 * login. IPv6 addresses count by their /64.
 *
 * @module
 */
import { FshError, type Plugin, type PluginLog, type Verdict } from "../../lib/plugin.ts";
import { listOption, numberOption, started } from "../option_values.ts";
import { addressKey, AddressRanges, type AddressRecord, AddressTable } from "./address_table.ts";

const MINUTE = 60_000;
/** The longest that a connection is made to wait, in milliseconds; a handshake has 10 s. */
const MAX_DELAY = 4_000;
const CONNECT_DEADLINE = 6_000;

interface Limits {
  readonly maxFailures: number;
  /** Milliseconds. */
  readonly window: number;
  readonly ban: number;
  readonly maxConnects: number;
  readonly delay: number;
  readonly exempt: AddressRanges;
}

class Guard {
  readonly #limits: Limits;
  readonly #log: PluginLog;
  readonly #now: () => number;
  readonly #table = new AddressTable();

  constructor(limits: Limits, surroundings: { log: PluginLog; now: () => number }) {
    this.#limits = limits;
    this.#log = surroundings.log;
    this.#now = surroundings.now;
  }

  connect(address: string): Verdict | undefined {
    const { maxConnects, exempt } = this.#limits;
    if (exempt.has(address)) return undefined;
    const banned = this.#banned(address);
    if (banned || maxConnects === 0) return banned;
    const key = addressKey(address);
    const record = this.#table.touch(key);
    if (this.#count(record) <= maxConnects) return undefined;
    this.#ban(record, { address: key, reason: "too many connections" });
    return this.#banned(address);
  }

  failed(address: string): void {
    const { maxFailures, window, exempt } = this.#limits;
    // What was refused for a ban does not make it longer.
    if (maxFailures === 0 || exempt.has(address) || this.#banned(address)) return;
    const key = addressKey(address);
    const record = this.#table.touch(key);
    const now = this.#now();
    record.failures = record.failures.filter((time) => time > now - window);
    record.failures.push(now);
    if (record.failures.length >= maxFailures) this.#ban(record, { address: key, reason: "too many failed logins" });
  }

  #banned(address: string): Verdict | undefined {
    const record = this.#table.peek(addressKey(address));
    const left = (record?.bannedUntil ?? 0) - this.#now();
    if (left <= 0) return undefined;
    return { allow: false, reason: `too many attempts from this address; try again in ${Math.ceil(left / 1000)} s` };
  }

  /** Milliseconds that a connection from there has to wait. */
  delay(address: string): number {
    const { delay, window } = this.#limits;
    const since = this.#now() - window;
    const count = this.#table.peek(addressKey(address))?.failures.filter((time) => time > since).length ?? 0;
    return count === 0 ? 0 : Math.min(delay * 2 ** (count - 1), MAX_DELAY);
  }

  /** Connections of the last minute, as two counters can tell: those of the minute before count by what is left of it. */
  #count(record: AddressRecord): number {
    const now = this.#now();
    const minute = Math.floor(now / MINUTE);
    if (record.minute !== minute) {
      record.before = record.minute === minute - 1 ? record.connects : 0;
      record.connects = 0;
      record.minute = minute;
    }
    record.connects++;
    return record.connects + record.before * (1 - (now % MINUTE) / MINUTE);
  }

  #ban(record: AddressRecord, about: { address: string; reason: string }): void {
    const { ban } = this.#limits;
    record.failures = [];
    if (ban === 0) return;
    record.bannedUntil = this.#now() + ban;
    this.#log.warn("address banned", { ...about, seconds: ban / 1000 });
  }
}

/** `now`: milliseconds that never go backwards. */
export function createRateGuard(now: () => number = () => performance.now()): Plugin {
  let guard: Guard | undefined;
  return {
    name: "rate-guard",
    description: "failed logins and too many connections slow an address down, and then keep it out for a while",
    options: {
      "max-failures": { type: "number", default: 5, help: "failed logins that lead to a ban; 0: never" },
      window: { type: "number", default: 600, help: "seconds for which a failed login counts" },
      ban: { type: "number", default: 600, help: "seconds that a ban lasts" },
      "max-connects": { type: "number", default: 0, help: "connections per minute that lead to a ban; 0: any number" },
      delay: {
        type: "number",
        default: 250,
        help: "milliseconds to wait after a failed login, then twice that, up to 4 s",
      },
      exempt: { type: "strings", default: [], help: "addresses and ranges (192.0.2.0/24) for which nothing counts" },
    },
    start({ options, log }) {
      const limits = {
        maxFailures: wholeOption(options["max-failures"], "max-failures"),
        window: numberOption(options, "window") * 1000,
        ban: numberOption(options, "ban") * 1000,
        maxConnects: wholeOption(options["max-connects"], "max-connects"),
        delay: numberOption(options, "delay"),
        exempt: new AddressRanges(listOption(options, "exempt")),
      };
      guard = new Guard(limits, { log, now });
    },
    deadlines: { connect: CONNECT_DEADLINE },
    hooks: {
      // Not in `authenticate`: a server with a plugin that decides there lets nobody in without an account.
      async connect({ session }, { signal }) {
        const refusal = started(guard).connect(session.address);
        if (!refusal) await pause(started(guard).delay(session.address), signal);
        return refusal;
      },
      failed({ session, command, method, error }) {
        // Who comes without credentials does not guess any.
        if (command !== undefined || method === "anonymous") return;
        if (method !== undefined || error?.name === "AUTH_FAILED") started(guard).failed(session.address);
      },
    },
  };
}

/** At most a thousand, as the times of failures are kept one by one. */
function wholeOption(value: unknown, name: string): number {
  const max = name === "max-failures" ? 1_000 : 1_000_000;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new FshError("USAGE", {
    subject: `option ${name}=${value}`,
    detail: `it takes a whole number from 0 to ${max}`,
  });
}

/** Ends early when the answer is of no use any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
