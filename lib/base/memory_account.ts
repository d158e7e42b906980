import type { FshError } from "./errors.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { type Holder, type Lease, REQUEST, SEAT, SHARED_REQUESTS } from "./memory_shares.ts";

/** What was taken in for nobody yet is paid for in steps of this many bytes. */
const STEP = 64 * 1024;
/** Where there is plenty, so many bytes more are paid for at once. */
const PLENTY = 1024 * 1024;

/** What one session may hold, out of the server's budget. */
export class MemoryAccount {
  /** Whoever it is for, as soon as there is one. */
  holder: Holder | null = null;
  readonly #budget: MemoryBudget;
  #seated = false;
  #seatUsed = 0;
  #extra = 0;
  /** Requests that the session's share pays for, and bytes of those beyond. */
  #requests = 0;
  #requestBytes = 0;
  #leases = 0;
  /** Bytes that arrived and were not taken yet, whatever they are paid from. */
  #arrived = 0;
  /** What of them is paid for. */
  #paid: Lease[] = [];
  #settled: (() => void) | null = null;
  #closed: FshError | null = null;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /** Bytes held beyond the seat. */
  get extra(): number {
    return this.#extra;
  }

  /** Whether it holds any memory that others could wait for. */
  get holdsBuffers(): boolean {
    return this.#seated || this.#extra > 0;
  }

  /** Whether there is an end to what it may hold. */
  get isBounded(): boolean {
    return this.#budget.bytes < Infinity;
  }

  /** Whether others wait for memory. */
  get isWanted(): boolean {
    return this.#budget.isWanted;
  }

  /** For a request of so many bytes; null where there is no room for one more. */
  request(payload: number): Lease | null {
    const bytes = REQUEST + 4 * payload;
    if (bytes <= 2 * REQUEST && this.#requests < SHARED_REQUESTS) {
      this.#requests++;
      return this.#lease(bytes, () => this.#requests--);
    }
    if (this.#budget.takeShare(bytes, this.#requestBytes)) {
      this.#requestBytes += bytes;
      return this.#lease(bytes, () => {
        this.#requestBytes -= bytes;
        this.#budget.giveBack("shares", bytes, this);
      });
    }
    return bytes <= 2 * REQUEST ? null : this.tryTake(bytes);
  }

  /** `most` bytes if there is plenty, else `least`; null where even those would have to be waited for. */
  tryTake(least: number, most: number = least): Lease | null {
    return this.#closed ? null : this.grant({ least, most, inTurn: false });
  }

  /** As `tryTake`, waiting for `least` bytes. Rejects once the account is closed. */
  take(least: number, most: number = least): Lease | Promise<Lease> {
    if (this.#closed) return Promise.reject(this.#closed);
    return this.tryTake(least, most) ?? this.#budget.wait(this, least, most);
  }

  /** For the budget. */
  grant({ least, most, inTurn }: { least: number; most: number; inTurn: boolean }): Lease | null {
    if (most > least && this.#takeExtra(most, { plenty: true, inTurn })) return this.#extraLease(most);
    if (this.#fits(least)) {
      this.#seatUsed += least;
      return this.#lease(least, () => this.#leaveSeat(least));
    }
    // What a seat is large enough for waits for one: what is beyond must not be held in pieces by those who wait for more.
    if (least <= SEAT) return null;
    return this.#takeExtra(least, { plenty: false, inTurn }) ? this.#extraLease(least) : null;
  }

  #takeExtra(bytes: number, how: { plenty: boolean; inTurn: boolean }): boolean {
    if (!this.#budget.takeExtra(this, bytes, how)) return false;
    this.#extra += bytes;
    return true;
  }

  #extraLease(bytes: number): Lease {
    return this.#lease(bytes, () => {
      this.#extra -= bytes;
      this.#budget.giveBack("extra", bytes, this);
    });
  }

  /** Whether so much has room in the seat, which is taken for it. */
  #fits(bytes: number): boolean {
    if (bytes > SEAT - this.#seatUsed) return false;
    this.#seated ||= this.#budget.takeSeat();
    return this.#seated;
  }

  #leaveSeat(bytes: number): void {
    this.#seatUsed -= bytes;
    if (this.#seatUsed > 0) return this.#budget.giveBack("seat", bytes, this);
    this.#seated = false;
    this.#budget.giveBack("seat", 0, this);
  }

  #lease(bytes: number, release: () => void): Lease {
    this.#leases++;
    let held = true;
    const give = () => {
      if (!held) return;
      held = false;
      release();
      this.#leases--;
      this.#leave();
    };
    return { bytes, release: give, [Symbol.dispose]: give };
  }

  /** Something arrived, or is being worked on, that takes so many bytes; negative: it is gone. */
  arrived(bytes: number): void {
    this.#arrived += bytes;
    if (this.#arrived === 0) { for (const lease of this.#paid.splice(0)) lease.release(); }
    if (this.#settled && this.#arrived <= this.#covered) {
      this.#settled();
      this.#settled = null;
    }
  }

  get #covered(): number {
    return this.#paid.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Whoever receives pays for a receive buffer and as much again, which is room for one more frame. Undefined: that room
   * is free. Else resolves once it is.
   */
  settle(): Promise<void> | undefined {
    const lacking = this.#arrived - this.#covered;
    if (lacking <= 0 || this.#closed) return undefined;
    const least = Math.ceil(lacking / STEP) * STEP;
    const lease = this.tryTake(least, least + PLENTY);
    if (lease) {
      this.#paid.push(lease);
      return undefined;
    }
    return new Promise((resolve) => this.#settled = resolve);
  }

  /** The session is over; what it still holds is given back as it is released. */
  close(error: FshError): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#budget.refuse(this, error);
    this.#settled?.();
    this.#settled = null;
    this.#leave();
  }

  #leave(): void {
    if (this.#closed && this.#leases === 0) this.#budget.forget(this);
  }
}
