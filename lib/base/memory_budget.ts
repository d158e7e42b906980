import { type Clock, systemClock } from "./clock.ts";
import { FshError } from "./errors.ts";
import { MemoryAccount } from "./memory_account.ts";
import { type Lease, type Pool, SEAT, SESSION_SHARE } from "./memory_shares.ts";

export { SESSION_SHARE } from "./memory_shares.ts";

/** Somebody may have this part of what is left beyond the seats, so that something is left for those who come later. */
const PART_OF_FREE = 4;
/** One session has no more than this part of all there is beyond the seats. */
const PART_OF_ALL = 8;
/** Milliseconds that a session may keep memory for its peer's sake while others wait for some. */
const GRACE = 5_000;
/** Milliseconds without anybody being served after which those who wait are taken to wait for each other. */
const STANDSTILL = 15_000;
/** Milliseconds between two looks for such sessions. */
const LOOK = 1_000;

/** What an account wants and can't have yet. */
interface Wish {
  readonly least: number;
  readonly most: number;
  readonly grant: (lease: Lease) => void;
  readonly refuse: (error: FshError) => void;
}

export interface MemoryBudgetOptions {
  /** For everything that sessions need; Infinity: no bound. */
  readonly bytes: number;
  readonly clock?: Clock;
}

/**
 * One number for what all sessions together may hold, out of which everything large is taken before it is allocated. A
 * half is for sessions and their requests, a quarter for seats, a quarter for whatever makes transfers faster. What can't
 * be had is waited for, account by account in turn; and while somebody waits, whoever keeps memory for a peer that lets it
 * wait is dropped.
 */
export class MemoryBudget {
  readonly bytes: number;
  readonly #clock: Clock;
  readonly #sizes: { readonly shares: number; readonly seats: number; readonly extra: number };
  readonly #free: { shares: number; seats: number; extra: number };
  readonly #accounts = new Set<MemoryAccount>();
  /** Whose turn it is stands first. */
  readonly #waiting = new Map<MemoryAccount, Wish[]>();
  #cancelLook: (() => void) | null = null;
  /** When somebody who waited was last served, or began to wait. */
  #served = 0;

  constructor(options: MemoryBudgetOptions) {
    const { bytes, clock = systemClock } = options;
    this.bytes = bytes;
    this.#clock = clock;
    const quarter = Math.floor(bytes / 4);
    this.#sizes = { shares: 2 * quarter, seats: Math.floor(quarter / SEAT), extra: quarter };
    this.#free = { ...this.#sizes };
  }

  /** Sessions that fit at once. */
  get sessions(): number {
    return Math.floor(this.#sizes.shares / SESSION_SHARE);
  }

  /** Bytes that are granted now. */
  get used(): number {
    const { shares, seats, extra } = this.#free;
    if (this.bytes === Infinity) return 0;
    return this.#sizes.shares - shares + (this.#sizes.seats - seats) * SEAT + this.#sizes.extra - extra;
  }

  /** Whether who comes now should ask for little. */
  get isTight(): boolean {
    return this.#waiting.size > 0 || this.#free.extra < this.#sizes.extra / 2 ||
      this.#free.seats < this.#sizes.seats / 2 ||
      this.#free.shares < this.#sizes.shares / 8;
  }

  /** Whether somebody waits: what is not needed at once should be given back. */
  get isWanted(): boolean {
    return this.#waiting.size > 0;
  }

  /** An account for one more session; null where it does not fit. */
  open(): MemoryAccount | null {
    if (this.#free.shares < SESSION_SHARE) return null;
    this.#free.shares -= SESSION_SHARE;
    const account = new MemoryAccount(this);
    this.#accounts.add(account);
    return account;
  }

  // What follows is for accounts.

  /** The account holds nothing any more and is gone. */
  forget(account: MemoryAccount): void {
    if (!this.#accounts.delete(account)) return;
    this.#free.shares += SESSION_SHARE;
  }

  /** For a request of an account that has so many bytes for others: half of the shares is for sessions only. */
  takeShare(bytes: number, held: number): boolean {
    const room = this.#free.shares - this.#sizes.shares / 2;
    if (held + bytes > room / PART_OF_ALL) return false;
    this.#free.shares -= bytes;
    return true;
  }

  takeSeat(): boolean {
    if (this.#free.seats < 1) return false;
    this.#free.seats--;
    return true;
  }

  /** Bytes beyond the seat: `plenty` only if as much is left for others, otherwise to the last. */
  takeExtra(account: MemoryAccount, bytes: number, how: { plenty: boolean; inTurn: boolean }): boolean {
    const { extra } = this.#free;
    if (!how.inTurn && this.#waiting.size > 0) return false;
    if (bytes > (how.plenty ? extra / PART_OF_FREE : extra)) return false;
    const sole = account.extra === 0 && !how.plenty;
    if (!sole && account.extra + bytes > this.#sizes.extra / PART_OF_ALL) return false;
    this.#free.extra -= bytes;
    return true;
  }

  giveBack(pool: Pool, bytes: number, account: MemoryAccount): void {
    if (pool === "shares") this.#free.shares += bytes;
    else if (pool === "extra") {
      this.#free.extra += bytes;
      this.#serveAll();
    } else if (bytes === 0) {
      this.#free.seats++;
      this.#serveAll();
    } else if (this.#waiting.has(account) && this.#serve(account, { inTurn: false })) this.#serveAll();
  }

  /** Resolves to the lease when it is the account's turn and there is room. */
  wait(account: MemoryAccount, least: number, most: number): Promise<Lease> {
    return new Promise((grant, refuse) => {
      const wish = { least, most, grant, refuse };
      const wishes = this.#waiting.get(account);
      if (wishes) wishes.push(wish);
      else this.#waiting.set(account, [wish]);
      if (this.#waiting.size === 1) this.#served = this.#clock.now();
      this.#cancelLook ??= this.#clock.after(LOOK, () => this.#look());
    });
  }

  /** What the account waits for it need not get any more. */
  refuse(account: MemoryAccount, error: FshError): void {
    const wishes = this.#waiting.get(account) ?? [];
    this.#waiting.delete(account);
    for (const { refuse } of wishes) refuse(error);
    if (wishes.length > 0) this.#serveAll();
    this.#restLook();
  }

  /** Nobody waits: there is nothing to look after. */
  #restLook(): void {
    if (this.#waiting.size > 0) return;
    this.#cancelLook?.();
    this.#cancelLook = null;
  }

  /** Grants what it can, in turn: of those who wait for more than a seat is for, the first lets nobody pass. */
  #serveAll(): void {
    let passable = true;
    for (const account of [...this.#waiting.keys()]) {
      if (!passable && this.#free.seats < 1) break;
      const large = (this.#waiting.get(account)?.[0]?.least ?? 0) > SEAT;
      if (large && !passable) continue;
      if (!this.#serve(account, { inTurn: large }) && large) passable = false;
    }
  }

  /** Grants an account's first wish, if that can be: it then stands last. */
  #serve(account: MemoryAccount, { inTurn }: { inTurn: boolean }): boolean {
    const wishes = this.#waiting.get(account);
    const wish = wishes?.[0];
    if (!wishes || !wish) return true;
    const lease = account.grant({ least: wish.least, most: wish.most, inTurn });
    if (!lease) return false;
    wishes.shift();
    this.#waiting.delete(account);
    if (wishes.length > 0) this.#waiting.set(account, wishes);
    this.#served = this.#clock.now();
    this.#restLook();
    wish.grant(lease);
    return true;
  }

  /** While somebody waits: drops those whose peers make them keep what they have. */
  #look(): void {
    this.#cancelLook = null;
    if (this.#waiting.size === 0) return;
    this.#cancelLook = this.#clock.after(LOOK, () => this.#look());
    const now = this.#clock.now();
    if (now - this.#served > STANDSTILL) this.#breakStandstill();
    for (const account of [...this.#accounts]) {
      if (!account.holdsBuffers) continue;
      const since = account.holder?.waitsSince() ?? null;
      if (since === null || now - since < GRACE) continue;
      const detail = `nothing moved for ${((now - since) / 1000).toFixed(0)} s while others waited for memory`;
      account.holder?.evict(new FshError("HOLDS_MEMORY", { detail }));
    }
  }

  /** One of those who wait while they hold something has to go, so that the others can go on. */
  #breakStandstill(): void {
    this.#served = this.#clock.now();
    const account = [...this.#waiting.keys()].find((one) => one.holdsBuffers && one.holder);
    account?.holder?.evict(new FshError("HOLDS_MEMORY", { detail: "requests of this session wait for each other" }));
  }
}

const unbounded = new MemoryBudget({ bytes: Infinity });

/** For those who need no bound: clients. */
export function unboundedAccount(): MemoryAccount {
  return new MemoryAccount(unbounded);
}
