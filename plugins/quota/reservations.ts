import type { Usage } from "./usage_tree.ts";

/** A transfer that was quiet for this long, in milliseconds, does not hold its room against others any more. */
const STALE = 10 * 60_000;

/** What a transfer that is under way will take. */
export interface Demand extends Usage {
  readonly user: string;
  readonly session: string;
  readonly path: string;
  /** The largest end of a chunk that was seen, in bytes. */
  readonly seen: number;
}

/** Room that transfers under way have taken, so that several at once don't share what is only there once. */
export class Reservations {
  readonly #byTransfer = new Map<string, { demand: Demand; at: number }>();
  readonly #sums = new Map<string, { bytes: number; files: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(transfer: string): Demand | undefined {
    return this.#byTransfer.get(transfer)?.demand;
  }

  /** What the transfers of a user have taken in all, without `except`. */
  of(user: string, except?: string): Usage {
    const { bytes = 0, files = 0 } = this.#sums.get(user) ?? {};
    const own = except === undefined ? undefined : this.get(except);
    return own?.user === user ? { bytes: bytes - own.bytes, files: files - own.files } : { bytes, files };
  }

  set(transfer: string, demand: Demand): void {
    this.release(transfer);
    this.#byTransfer.set(transfer, { demand, at: this.#now() });
    this.#add(demand, 1);
  }

  /** Answers what it was. */
  release(transfer: string): Demand | undefined {
    const demand = this.get(transfer);
    if (demand === undefined) return undefined;
    this.#byTransfer.delete(transfer);
    this.#add(demand, -1);
    return demand;
  }

  releaseSession(session: string): void {
    for (const [transfer, { demand }] of this.#byTransfer) if (demand.session === session) this.release(transfer);
  }

  /** Ends of transfers may go unnoticed, as observers have a bounded queue. Answers whether any was released. */
  releaseStale(): boolean {
    const before = this.#byTransfer.size;
    const limit = this.#now() - STALE;
    for (const [transfer, { at }] of this.#byTransfer) if (at < limit) this.release(transfer);
    return this.#byTransfer.size < before;
  }

  #add({ user, bytes, files }: Demand, sign: 1 | -1): void {
    const sum = this.#sums.get(user) ?? { bytes: 0, files: 0 };
    sum.bytes += sign * bytes;
    sum.files += sign * files;
    if (sum.bytes === 0 && sum.files === 0) this.#sums.delete(user);
    else this.#sums.set(user, sum);
  }
}
