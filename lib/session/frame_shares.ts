import type { Clock } from "../base/clock.ts";

/** Milliseconds of a slot: shares are counted anew in each. */
const SLOT = 100;
/**
 * Units that all sessions together may spend in a slot once there are several. A unit is what the cheapest frame costs,
 * about 4 µs, so the most is a fifth of the time; requests among a few sessions cost less than that. Where timers come late, the machine is slower than that, or busier, and
 * the budget shrinks step by step to the least; it grows again from slot to slot.
 */
const BUDGET = { most: 5_000, least: 2_000, shrink: 0.7, grow: 1.05 };
/** A timer that comes so many milliseconds after its time is late: transfers alone don't make it so. */
const LATE = 100;
/** What each session has in every slot, however many there are; a handshake with a request or two is less. */
const LEAST = 10;
/** Units that a new session has once, so that whoever comes for one small thing gets it at once. */
const WELCOME = 40;
/** Units of one slot that count against later ones, at the most. */
const MOST_DEBT = 1_000;
/** Bytes of content that pay for a unit: the frames that a large transfer needs cost it nothing. */
const PAYS = 32 * 1024;
/** Units that content has paid for in advance, at the most. */
const MOST_PAID = 256;

/**
 * How much sessions may keep the server busy with small things: control frames, requests, crumbs of data. As long as
 * little is asked for, or only by one, everybody gets everything. Once a slot's budget is spent, whoever has had more than
 * an equal part of it is not read for the rest of the slot, and TCP holds its peer back. Nobody is thrown out for it.
 */
export class FrameShares {
  readonly clock: Clock;
  #slot = 0;
  #ends = 0;
  #spent = 0;
  #budget = BUDGET.most;
  /** Sessions that spent something in this slot, and in the one before. */
  #spenders = 0;
  #spendersBefore = 0;
  #waiting: (() => void)[] = [];
  #cancel = () => {};
  #closed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** `othersMove`: whether large transfers of other sessions move now. */
  join(othersMove: () => boolean): FrameShare {
    return new FrameShare(this, othersMove);
  }

  /** The number of the current slot. */
  slot(): number {
    const now = this.clock.now();
    if (now < this.#ends) return this.#slot;
    const isNext = now < this.#ends + SLOT;
    this.#slot += isNext ? 1 : 2;
    this.#spendersBefore = isNext ? this.#spenders : 0;
    this.#spenders = 0;
    this.#spent = 0;
    this.#ends = (isNext ? this.#ends : now) + SLOT;
    this.#budget = Math.min(BUDGET.most, this.#budget * BUDGET.grow);
    return this.#slot;
  }

  /** `first`: in this slot, of this session. */
  spend(units: number, { first }: { readonly first: boolean }): void {
    this.#spent += units;
    if (first) this.#spenders++;
  }

  /** Whether the slot's budget is spent. */
  get isSpent(): boolean {
    return this.#spent > this.#budget;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** An equal part of a slot's budget, where there are so many sessions at least. */
  part(sessions: number): number {
    return Math.max(LEAST, this.#budget / Math.max(sessions, this.#spenders, this.#spendersBefore));
  }

  /** Sessions that ask for something. */
  get spenders(): number {
    return Math.max(this.#spenders, this.#spendersBefore);
  }

  /** Resolves when the next slot begins. */
  next(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length > 1) return;
      const due = Math.max(this.#ends, this.clock.now() + 1);
      this.#cancel = this.clock.after(due - this.clock.now(), () => {
        if (this.clock.now() - due > LATE) this.#budget = Math.max(BUDGET.least, this.#budget * BUDGET.shrink);
        this.#wake();
      });
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Nobody needs to wait any more. */
  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#wake();
  }
}

/** One session's part of it. */
export class FrameShare {
  readonly #all: FrameShares;
  readonly #othersMove: () => boolean;
  #slot = -1;
  #spent = 0;
  /** Something of `#spent` is of earlier slots. */
  #owes = false;
  /** It is one of those that spent something in this slot. */
  #counted = false;
  #welcome = WELCOME;
  #paid = 0;

  constructor(all: FrameShares, othersMove: () => boolean) {
    this.#all = all;
    this.#othersMove = othersMove;
  }

  /** Sessions that ask for something, this one among them. */
  get spenders(): number {
    return this.#all.spenders;
  }

  /** Content was moved, either way. */
  earn(bytes: number): void {
    this.#paid = Math.min(MOST_PAID, this.#paid + bytes / PAYS);
  }

  spend(units: number): void {
    if (this.#paid >= units) {
      this.#paid -= units;
      return;
    }
    this.#catchUp();
    this.#all.spend(units, { first: !this.#counted });
    this.#counted = true;
    const welcome = Math.min(this.#welcome, units);
    this.#welcome -= welcome;
    this.#spent += units - welcome;
  }

  /** Whether the session has had more than its part and must not be read for now. */
  get isOver(): boolean {
    if (this.#spent <= LEAST || this.#all.isClosed) return false;
    this.#catchUp();
    if (!this.#owes && !this.#all.isSpent) return false;
    const alone = this.#all.spenders <= 1 && !this.#othersMove();
    return !alone && this.#spent > this.#all.part(2);
  }

  /** Resolves when it is worth looking again. */
  async wait(): Promise<void> {
    await this.#all.next();
    this.#catchUp();
  }

  /** In a new slot, what was too much in earlier ones is owed. */
  #catchUp(): void {
    const slot = this.#all.slot();
    if (slot === this.#slot) return;
    const slots = this.#slot < 0 ? 1 : slot - this.#slot;
    this.#spent = Math.max(0, Math.min(this.#spent, MOST_DEBT) - slots * this.#all.part(2));
    this.#owes = this.#spent > 0;
    this.#slot = slot;
    // Whoever owes goes on counting, without a frame.
    if (this.#owes) this.#all.spend(0, { first: true });
    this.#counted = this.#owes;
  }
}
