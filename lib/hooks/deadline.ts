/**
 * Until when an answer is of use. Most calls end long before: what only a late one needs, an AbortSignal for instance, is
 * made when somebody asks for it.
 */
export class Deadline {
  #passed = false;
  #controller: AbortController | null = null;
  readonly #listeners: (() => void)[] = [];

  get passed(): boolean {
    return this.#passed;
  }

  /** For those who need the platform's own. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#passed) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Calls once it passes; never where it has passed already. */
  onPass(listener: () => void): void {
    this.#listeners.push(listener);
  }

  pass(): void {
    if (this.#passed) return;
    this.#passed = true;
    this.#controller?.abort();
    for (const listener of this.#listeners) listener();
  }
}

/** Makes a deadline pass after `limit` milliseconds, unless the answer is called before. */
export function passAfter(limit: number, deadline: Deadline): () => void {
  let queue = queues.get(limit);
  if (!queue) queues.set(limit, queue = new Queue(limit));
  return queue.add(deadline);
}

/** By their limit, in milliseconds. There are as many as limits are in use. */
const queues = new Map<number, Queue>();

interface Running {
  readonly deadline: Deadline;
  /** When it passes, as `performance.now()` has it. */
  readonly due: number;
}

/** Deadlines of one limit: the oldest is the next to pass, so that one timer does for all. */
class Queue {
  readonly #limit: number;
  /** In the order in which they began; numbers are far quicker as keys than objects. */
  readonly #running = new Map<number, Running>();
  #next = 0;
  #timer: number | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(deadline: Deadline): () => void {
    const number = this.#next++;
    this.#running.set(number, { deadline, due: performance.now() + this.#limit });
    this.#timer ??= setTimeout(() => this.#look(), this.#limit);
    return () => this.#remove(number);
  }

  #remove(number: number): void {
    if (!this.#running.delete(number) || this.#running.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    queues.delete(this.#limit);
  }

  #look(): void {
    const now = performance.now();
    for (const [number, { deadline, due }] of this.#running) {
      if (due > now) {
        this.#timer = setTimeout(() => this.#look(), Math.ceil(due - now));
        return;
      }
      this.#remove(number);
      deadline.pass();
    }
  }
}
