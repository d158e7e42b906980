import type { Asker, Reply } from "./host.ts";

interface Pending {
  readonly asker: Asker;
  /** Of each event: whether it has no reply yet. */
  readonly isOpen: boolean[];
  /** How many have none. */
  open: number;
  timer: number | undefined;
}

/** Calls that went to a sandbox, until all their events are answered. What comes in is a stranger's word. */
export class PendingCalls {
  readonly #calls = new Map<number, Pending>();
  #next = 1;

  /** Answers the call's number. */
  add(events: number, asker: Asker): number {
    const id = this.#next++;
    this.#calls.set(id, { asker, isOpen: new Array(events).fill(true), open: events, timer: undefined });
    return id;
  }

  /** Whether anybody waited for these replies, to the events from number `at` on. */
  answered(id: number, { at, replies }: { at: number; replies: readonly Reply[] }): boolean {
    const call = this.#calls.get(id);
    if (!call) return false;
    let fits = replies.length > 0;
    for (const [nth, reply] of replies.entries()) {
      const index = at + nth;
      if (call.isOpen[index]) this.#settle(call, { index, reply });
      else fits = false;
    }
    if (call.open === 0) this.#remove(id, call);
    return fits;
  }

  /** Gives a call `ms` milliseconds more; false: it is over already. */
  expire(id: number, ms: number): boolean {
    const call = this.#calls.get(id);
    if (!call) return false;
    call.timer = setTimeout(() => this.#end(id, call), ms);
    return true;
  }

  /** Nothing more will come. */
  endAll(): void {
    for (const [id, call] of [...this.#calls]) this.#end(id, call);
  }

  #end(id: number, call: Pending): void {
    this.#remove(id, call);
    for (let index = 0; index < call.isOpen.length; index++) {
      if (call.isOpen[index]) this.#settle(call, { index, reply: { failure: "it gave no answer" } });
    }
  }

  #settle(call: Pending, { index, reply }: { index: number; reply: Reply }): void {
    call.isOpen[index] = false;
    call.open--;
    call.asker.answered(index, reply);
  }

  #remove(id: number, call: Pending): void {
    this.#calls.delete(id);
    if (call.timer !== undefined) clearTimeout(call.timer);
  }
}
