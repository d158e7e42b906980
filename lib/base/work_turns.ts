import type { Clock } from "./clock.ts";
import { Turns } from "./concurrency.ts";
import { Movers } from "./movers.ts";

/** Milliseconds that a piece of heavy work may hold up everything else. */
const TURN = 3;
/** How much longer the rest after a turn is than the turn was: a transfer gets only most of what it is left. */
const REST = 2;
/** Large files that one session may have read at once without sending them. */
const AT_ONCE = 2;

export interface WorkTurnsOptions {
  readonly clock: Clock;
  /** Lets everything else happen that is due, then calls. */
  readonly after: (call: () => void) => void;
}

/** What wants to work, on behalf of whom. */
interface Waiting {
  readonly task: WorkTask;
  readonly resolve: () => void;
}

/**
 * Heavy work (digests of files, long listings, removals of trees) in turns of some milliseconds. The next turn goes to the
 * session that has had the least; and as long as transfers of other sessions move, each turn is followed by a rest of
 * twice its length, so that these have half of the time at least.
 */
export class WorkTurns {
  readonly #clock: Clock;
  readonly #after: (call: () => void) => void;
  readonly #waiting = new Map<WorkShare, Waiting[]>();
  #working = false;
  #cancelRest = () => {};
  #closed = false;
  /** What the session had had that was last given a turn, in milliseconds: newcomers begin there. */
  #level = 0;
  readonly #movers: Movers<WorkShare>;

  constructor({ clock, after }: WorkTurnsOptions) {
    this.#clock = clock;
    this.#after = after;
    this.#movers = new Movers(clock);
  }

  join(): WorkShare {
    return new WorkShare(this);
  }

  /** Nobody will ask any more. */
  close(): void {
    this.#closed = true;
    this.#cancelRest();
  }

  moved(share: WorkShare): void {
    this.#movers.moved(share);
  }

  /** Whether transfers move, others than those of `share`. */
  othersMove(share: WorkShare): boolean {
    return this.#movers.othersMove(share);
  }

  /** Whether any transfers move. */
  get anyMove(): boolean {
    return this.#movers.anyMove;
  }

  /** Undefined: the task may go on at once. */
  ask(task: WorkTask): Promise<void> | undefined {
    const { share, signal } = task;
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#clock.now() < task.until) return undefined;
    const queue = this.#waiting.get(share) ?? [];
    if (queue.length === 0) share.used = Math.max(share.used, this.#level);
    if (!this.#working) return void this.#begin(task);
    return new Promise((resolve, reject) => {
      const waiting = {
        task,
        resolve: () => {
          signal.removeEventListener("abort", aborted);
          resolve();
        },
      };
      const aborted = () => {
        this.#drop(waiting);
        reject(signal.reason);
      };
      signal.addEventListener("abort", aborted, { once: true });
      queue.push(waiting);
      this.#waiting.set(share, queue);
    });
  }

  #begin(task: WorkTask): void {
    const { share } = task;
    const begun = this.#clock.now();
    this.#working = true;
    this.#level = share.used;
    task.until = begun + TURN;
    this.#after(() => {
      const took = this.#clock.now() - begun;
      share.used += took;
      if (!this.#closed && this.othersMove(share)) {
        this.#cancelRest = this.#clock.after(REST * took, () => this.#next());
      } else this.#next();
    });
  }

  #next(): void {
    this.#working = false;
    let next: Waiting | undefined;
    // The one that came last among those that have had equally little: who is new has little to do, mostly.
    for (const [{ used }, [first]] of this.#waiting) if (used <= (next?.task.share.used ?? Infinity)) next = first;
    if (!next) return;
    this.#drop(next);
    this.#begin(next.task);
    next.resolve();
  }

  #drop(waiting: Waiting): void {
    const { share } = waiting.task;
    const queue = this.#waiting.get(share) ?? [];
    const at = queue.indexOf(waiting);
    if (at >= 0) queue.splice(at, 1);
    if (queue.length === 0) this.#waiting.delete(share);
  }
}

/** One session's part. */
export class WorkShare {
  /** Milliseconds that the session has worked; a newcomer begins where the others are. */
  used = 0;
  readonly #all: WorkTurns;
  readonly #few = new Turns(AT_ONCE);

  constructor(all: WorkTurns) {
    this.#all = all;
  }

  /** A transfer of the session moved on. */
  moved(): void {
    this.#all.moved(this);
  }

  /** A request that may need turns, until its signal is aborted. */
  task(signal: AbortSignal): WorkTask {
    return new WorkTask(this, { signal, all: this.#all, few: this.#few });
  }
}

/** One request's turns. */
export class WorkTask {
  /** When its turn is over. */
  until = -Infinity;
  readonly share: WorkShare;
  readonly signal: AbortSignal;
  readonly #all: WorkTurns;
  readonly #few: Turns;

  constructor(
    share: WorkShare,
    options: { readonly signal: AbortSignal; readonly all: WorkTurns; readonly few: Turns },
  ) {
    this.share = share;
    this.signal = options.signal;
    this.#all = options.all;
    this.#few = options.few;
  }

  /** To be asked before each small piece of work. Undefined: go on; else resolves at the next turn. Rejects once aborted. */
  turn(): Promise<void> | undefined {
    return this.#all.ask(this);
  }

  /** For what reads large files: few of a session's do at once, and the others have not even opened theirs. */
  fewAtOnce<T>(work: () => Promise<T>): Promise<T> {
    return this.#few.take(async () => {
      this.signal.throwIfAborted();
      return await work();
    });
  }
}
