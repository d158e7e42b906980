/**
 * Lets many who want the same thing flushed share the flushes: whoever comes while one runs waits for the next, together
 * with all others who came meanwhile. So n waiters cost two flushes, not n, and each waits for one that began after it
 * asked.
 */
export class SharedFlush {
  readonly #running = new Map<string, { current: Promise<void>; next: Promise<void> | null }>();

  /** Resolves when a flush of `key` that began after this call has ended. `flush` may be any waiter's. */
  request(key: string, flush: () => Promise<void>): Promise<void> {
    const running = this.#running.get(key);
    if (!running) return this.#start(key, flush);
    running.next ??= running.current.catch(() => {}).then(() => this.#start(key, flush));
    return running.next;
  }

  #start(key: string, flush: () => Promise<void>): Promise<void> {
    const entry: { current: Promise<void>; next: Promise<void> | null } = { current: Promise.resolve(), next: null };
    this.#running.set(key, entry);
    entry.current = flush().finally(() => {
      if (entry.next === null && this.#running.get(key) === entry) this.#running.delete(key);
    });
    return entry.current;
  }
}
