import type { MemoryAccount } from "../base/memory_account.ts";
import type { Lease } from "../base/memory_shares.ts";
import type { RawFrame } from "../wire/codec.ts";
import { MAX_DATA } from "../wire/frames.ts";
import { RECEIVE_SIZES, type Splitter } from "../wire/splitter.ts";

/** Before READY no frame is larger; that much is a part of every session's share. */
const UNREADY = RECEIVE_SIZES[1];
/** What stays with a session that has nothing under way: where memory is counted, next to nothing. */
const IDLE = { bounded: RECEIVE_SIZES[0], unbounded: RECEIVE_SIZES[1] };
/** While others wait for memory, a receive buffer that is larger is given up as soon as there is little in it. */
const MODEST = RECEIVE_SIZES[2];

/** Takes what receiving needs from the session's account: the buffer, and room for one frame that nobody takes yet. */
export class ReceiveMemory {
  readonly #splitter: Splitter;
  readonly #account: MemoryAccount;
  #lease: Lease | null = null;
  #frameSince: number | null = null;
  #reads = false;

  constructor(splitter: Splitter, account: MemoryAccount) {
    this.#splitter = splitter;
    this.#account = account;
  }

  /** Since when the peer has sent a part of a frame and not the rest, in a buffer that has to be paid for. */
  get waitsSince(): number | null {
    return this.#reads && this.#lease ? this.#frameSince : null;
  }

  /** A frame was received and handed on. Undefined, or a promise for when there is room for the next one. */
  received(frame: RawFrame): Promise<void> | undefined {
    this.#frameSince = null;
    const { buffer, byteLength } = frame.payload;
    if (frame.packed !== undefined && buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) {
      buffer.transfer(0);
    }
    return this.#account.settle();
  }

  /** Gives a large buffer back where nobody needs it now. */
  relax(unused: boolean): void {
    const { isBounded } = this.#account;
    if (unused && this.#splitter.relax(isBounded ? IDLE.bounded : IDLE.unbounded)) {
      this.#lease?.release();
      this.#lease = null;
    } else if (this.#account.isWanted && this.#splitter.capacity > MODEST) this.#makeDo();
  }

  /** Others wait: goes on with what every session can have. */
  #makeDo(): void {
    const lease = this.#account.tryTake(MODEST + MODEST);
    if (!lease) return;
    if (!this.#splitter.shrink(MODEST)) return lease.release();
    this.#lease?.release();
    this.#lease = lease;
  }

  /** Makes the buffer larger, where that is wanted. Undefined, or a promise for when the memory is there that it needs. */
  grow({ ready }: { ready: boolean }): Promise<void> | undefined {
    const size = this.#splitter.wanted;
    if (size === null || (!ready && size === UNREADY)) return undefined;
    const cost = size + Math.min(size, MAX_DATA);
    const lease = this.#account.tryTake(cost);
    if (lease) this.#swap(lease);
    else if (this.#splitter.isStuck) return this.#wait(cost);
    return undefined;
  }

  async #wait(cost: number): Promise<void> {
    this.#swap(await this.#account.take(cost));
  }

  #swap(lease: Lease): void {
    this.#splitter.grow();
    this.#lease?.release();
    this.#lease = lease;
  }

  /** The peer is being listened to from now on. */
  awaitsFrame(now: number): void {
    this.#reads = true;
    this.#frameSince = this.#splitter.pending > 0 ? this.#frameSince ?? now : null;
  }

  /** It is this side that does not read. */
  pauses(): void {
    this.#reads = false;
    this.#frameSince = null;
  }

  /** No read may be under way. */
  close(): void {
    this.#splitter.close();
    this.#lease?.release();
    this.#lease = null;
  }
}
