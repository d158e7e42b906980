export interface Bounds<T> {
  /** Items under way at once. */
  readonly count: number;
  /** Weight under way at once; a heavier item goes alone. */
  readonly weight: number;
  readonly weigh: (item: T) => number;
}

/**
 * Calls `work` for each item within the bounds, and takes the next item only when there is room. The first failure stops
 * taking more; it is thrown once those under way have ended.
 */
export async function forEachBounded<T>(
  items: AsyncIterable<T> | Iterable<T>,
  bounds: Bounds<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let weight = 0;
  let failure: { error: unknown } | null = null;
  try {
    for await (const item of items) {
      const own = bounds.weigh(item);
      while (running.size > 0 && weight + own > bounds.weight) await Promise.race(running);
      if (failure) break;
      weight += own;
      const task: Promise<void> = work(item)
        .catch((error) => {
          failure ??= { error };
        })
        .finally(() => {
          weight -= own;
          running.delete(task);
        });
      running.add(task);
      if (running.size >= bounds.count) await Promise.race(running);
      if (failure) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failure) throw (failure as { error: unknown }).error;
}

/** Lets a number of tasks run at once; the others wait for their turn, in order. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
