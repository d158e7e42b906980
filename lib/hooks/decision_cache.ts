import type { EventSession } from "./event.ts";

/** What one session may have in the cache over all hooks and plugins, in characters of keys and of values as JSON. */
const MOST = 1024 * 1024;
/** What an entry costs beside its characters, counted as such. */
const ENTRY = 128;

export interface Kept<T> {
  readonly value: T;
  /** As `performance.now()` has it. */
  readonly until: number;
}

interface Entry extends Kept<unknown> {
  readonly size: number;
}

interface Session {
  /** The oldest first. */
  readonly entries: Map<string, Entry>;
  size: number;
}

/** What was decided and holds for a while; per session, and gone with it. The oldest goes first where it gets too much. */
export class DecisionCache {
  readonly #sessions = new WeakMap<EventSession, Session>();

  get(of: EventSession, key: string): Kept<unknown> | undefined {
    const session = this.#sessions.get(of);
    const entry = session?.entries.get(key);
    if (!session || !entry || entry.until > performance.now()) return entry;
    remove(session, key, entry);
    return undefined;
  }

  set(of: EventSession, key: string, { value, until }: Kept<unknown>): void {
    let session = this.#sessions.get(of);
    if (!session) this.#sessions.set(of, session = { entries: new Map(), size: 0 });
    const before = session.entries.get(key);
    if (before) remove(session, key, before);
    const size = key.length + charactersOf(value) + ENTRY;
    if (size > MOST) return;
    session.entries.set(key, { value, until, size });
    session.size += size;
    const now = performance.now();
    for (const [oldest, entry] of session.entries) {
      if (session.size <= MOST && entry.until > now) break;
      remove(session, oldest, entry);
    }
  }
}

function remove(session: Session, key: string, { size }: Entry): void {
  session.entries.delete(key);
  session.size -= size;
}

/** Infinite where that can't be told: answers are strangers' objects. */
function charactersOf(value: unknown): number {
  try {
    return JSON.stringify(value)?.length ?? 0;
  } catch {
    return Infinity;
  }
}
