import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { Served } from "./served.ts";

/** Milliseconds between two looks. */
const INTERVAL = 5000;
/** Looks that make the window: a minute. */
const LOOKS = 12;

type Watched = Pick<Served, "openStreams" | "waiting" | "carried" | "close">;
type Waiting = ReturnType<Served["waiting"]>[number];

/** What was seen of a session at each look, the newest last, and what has been waiting all along. */
interface Seen {
  readonly carried: number[];
  streams: readonly Waiting[];
}

export interface PaceOptions {
  readonly clock: Clock;
  /** Bytes per second. */
  readonly least: number;
  readonly sessions: Iterable<Watched>;
}

/**
 * Drops peers whose transfers trickle: whose session was seen waiting for the peer, and for nothing else, at every look of a minute,
 * and still moved bytes, but fewer than the least. What is held back by our own disk, rate limit or other streams is not
 * waiting for the peer. Where nothing moves at all, a source or a reader may only pause; that is the stall timeout's.
 */
export class Pace {
  readonly #options: PaceOptions;
  readonly #seen = new WeakMap<Watched, Seen>();
  #cancel: () => void;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#cancel = this.#later();
  }

  stop(): void {
    this.#cancel();
  }

  #later(): () => void {
    return this.#options.clock.after(INTERVAL, () => {
      for (const session of this.#options.sessions) this.#look(session);
      this.#cancel = this.#later();
    });
  }

  #look(session: Watched): void {
    const waiting = session.openStreams > 0 ? session.waiting() : [];
    const seen = this.#seen.get(session);
    const streams = seen ? waiting.filter((stream) => seen.streams.includes(stream)) : waiting;
    if (!seen || streams.length === 0) {
      if (waiting.length === 0) this.#seen.delete(session);
      else this.#seen.set(session, { carried: [session.carried], streams: waiting });
      return;
    }
    seen.streams = streams;
    seen.carried.push(session.carried);
    if (seen.carried.length <= LOOKS) return;
    const [first = 0] = seen.carried;
    seen.carried.shift();
    const half = seen.carried[LOOKS >> 1] ?? 0;
    const moved = session.carried - first;
    const { least } = this.#options;
    const seconds = LOOKS * INTERVAL / 1000;
    if (moved >= least * seconds || session.carried === half) return;
    const error = new FshError("TOO_SLOW", { detail: `${moved} bytes in ${seconds} s, at least ${least} a second` });
    for (const stream of streams) stream.fail(error);
    // What is being written can't be taken back: only the end of the session frees it.
    session.close({ error });
  }
}
