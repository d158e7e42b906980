import { promiseSteps } from "../base/promise_steps.ts";
import { callWithin } from "./call_within.ts";
import type { HookEvent } from "./event.ts";
import { type FactName, type HookName, hookRow } from "./hooks.ts";
import type { PluginHost, Reply } from "./host.ts";

/** Steps of promises for which an event waits for others of its turn. */
const GATHER = 4;
/** Events of one call. */
const MOST = 256;
/** Bytes of chunks and characters of texts in one call; those of one event may be more. */
const MOST_SIZE = 128 * 1024;

interface Waiting<N extends HookName> {
  readonly event: HookEvent<N>;
  readonly answered: (reply: Reply) => void;
}

/**
 * One hook of one plugin. What it is asked in one turn of the event loop, by whatever requests, goes to it in one call: one
 * deadline, one message, one wait. Each event is answered by itself all the same.
 */
export class GatheredCalls<N extends HookName> {
  readonly host: PluginHost;
  readonly hook: N;
  #waiting: Waiting<N>[] = [];

  constructor(host: PluginHost, hook: N) {
    this.host = host;
    this.hook = hook;
  }

  /** Answered once, never before this returns. */
  ask(event: HookEvent<N>, answered: (reply: Reply) => void): void {
    if (this.#waiting.push({ event, answered }) === 1) void this.#callSoon();
  }

  async #callSoon(): Promise<void> {
    // What comes of one read goes in one call: with many requests at once that is most of the cost.
    await promiseSteps(GATHER);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length;) {
      const end = at + fitting(waiting, at);
      this.#call(waiting.slice(at, end));
      at = end;
    }
  }

  #call(waiting: readonly Waiting<N>[]): void {
    const events = waiting.map(({ event }) => event);
    callWithin(this.host, { hook: this.hook, events }, (index, reply) => waiting[index]?.answered(reply));
  }
}

/** How many of those that wait go together, from `start` on. */
function fitting(waiting: readonly Waiting<HookName>[], start: number): number {
  let size = 0;
  let count = 0;
  for (let at = start; at < waiting.length && count < MOST; at++) {
    size += sizeOf(waiting[at]?.event);
    if (count > 0 && size > MOST_SIZE) break;
    count++;
  }
  return count;
}

function sizeOf(event: HookEvent | undefined): number {
  if (!event) return 0;
  let size = 0;
  const facts = event as { readonly [F in FactName]?: unknown };
  for (const name of hookRow(event.hook).facts) {
    const fact = facts[name];
    if (typeof fact === "string" || fact instanceof Uint8Array) size += fact.length;
  }
  return size;
}
