import { promiseSteps } from "../base/promise_steps.ts";

/** Until when an answer is of use. Most calls end long before: for them it is a flag and a list. */
export class Deadline {
  #passed = false;
  readonly #listeners: (() => void)[] = [];

  get passed(): boolean {
    return this.#passed;
  }

  /** Calls once it passes; never where it has passed already. */
  onPass(listener: () => void): void {
    this.#listeners.push(listener);
  }

  pass(): void {
    if (this.#passed) return;
    this.#passed = true;
    for (const listener of this.#listeners) listener();
  }
}

/** Steps of promises for which the timer waits for another deadline: one question often follows the other. */
const REST = 16;

interface Running {
  readonly deadline: Deadline;
  /** When it passes, as `performance.now()` has it. */
  readonly due: number;
}

/**
 * All deadlines that are running. Of those with the same limit the oldest is the next to pass, so that one timer does for
 * all; it is set for the first of them, and stays while others come and go.
 */
class Deadlines {
  /** By their limit, in milliseconds; then in the order in which they began. Numbers are far quicker as keys than objects. */
  readonly #queues = new Map<number, Map<number, Running>>();
  #next = 0;
  #running = 0;
  #timer: number | undefined;
  /** When the timer goes off. */
  #due = Infinity;
  #isResting = false;

  add(limit: number, deadline: Deadline): () => void {
    let queue = this.#queues.get(limit);
    if (!queue) this.#queues.set(limit, queue = new Map());
    const number = this.#next++;
    const due = performance.now() + limit;
    queue.set(number, { deadline, due });
    this.#running++;
    this.#wake(due);
    return () => this.#remove(queue, number);
  }

  #remove(queue: Map<number, Running>, number: number): void {
    if (!queue.delete(number) || --this.#running > 0 || this.#isResting) return;
    this.#isResting = true;
    void this.#rest();
  }

  /** Takes the timer back unless another deadline begins in a moment. */
  async #rest(): Promise<void> {
    await promiseSteps(REST);
    this.#isResting = false;
    if (this.#running > 0) return;
    clearTimeout(this.#timer);
    this.#due = Infinity;
    this.#queues.clear();
  }

  #wake(due: number): void {
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, Math.ceil(due - performance.now())));
  }

  #look(): void {
    this.#due = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const queue of [...this.#queues.values()]) {
      for (const [number, { deadline, due }] of queue) {
        if (due > now) {
          next = Math.min(next, due);
          break;
        }
        this.#remove(queue, number);
        deadline.pass();
      }
    }
    this.#wake(next);
  }
}

const deadlines = new Deadlines();

/** Makes a deadline pass after `limit` milliseconds, unless the answer is called before. */
export function passAfter(limit: number, deadline: Deadline): () => void {
  return deadlines.add(limit, deadline);
}
