import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { FrameName } from "../wire/frames.ts";
import { PRIORITIES } from "./command.ts";
import type { Stream } from "./stream.ts";

export interface StreamTableOptions {
  readonly clock: Clock;
  /** How many the peer takes at once. */
  readonly most: () => number;
}

/** The streams of a session: those that are open, those that wait until the peer takes more, and which may come next. */
export class StreamTable {
  readonly #options: StreamTableOptions;
  readonly #open = new Map<number, Stream>();
  /** Of the open ones, those whose requests wait to be sent, and what sends them. */
  readonly #unbegun = new Map<number, () => void>();
  #last = -1;
  #cancelBegin: (() => void) | null = null;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(options: StreamTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Of all that are open now, whatever becomes of them meanwhile. */
  all(): Stream[] {
    return [...this.#open.values()];
  }

  values(): Iterable<Stream> {
    return this.#open.values();
  }

  /** The number of the next stream that a client opens: odd ones, one after the other. */
  next(): number {
    return this.#last += 2;
  }

  /** Adds a stream of our own; `begin` sends its request, at once or when the peer takes one more. */
  begin(stream: Stream, begin: () => void): void {
    this.#open.set(stream.id, stream);
    // Numbers only go up on the wire: none overtakes one that waits.
    if (this.#unbegun.size === 0 && this.#open.size <= this.#most) begin();
    else this.#unbegun.set(stream.id, begin);
  }

  /** A little less than the peer takes: it counts those that have ended until it has noticed. */
  get #most(): number {
    return Math.max(1, Math.floor(this.#options.most() * 0.75));
  }

  /** Begins streams in the order in which they were opened, as long as the peer takes more. */
  #beginWaiting(): void {
    this.#cancelBegin = null;
    for (const [id, begin] of this.#unbegun) {
      if (this.#open.size - this.#unbegun.size >= this.#most) break;
      this.#unbegun.delete(id);
      begin();
    }
  }

  /** Notes the number of a stream that the peer opens. @throws {FshError} BAD_STREAM: it can't be the next */
  follow(name: FrameName, id: number): void {
    if (id <= this.#last || id % 2 === 0) throw new FshError("BAD_STREAM", { subject: name, detail: String(id) });
    this.#last = id;
  }

  /** Adds a stream of the peer's. */
  add(stream: Stream): void {
    this.#open.set(stream.id, stream);
  }

  /**
   * The stream that a frame is for; undefined for one that is over, whose late frames are of no interest.
   *
   * @throws {FshError} BAD_STREAM: there was none of that number yet
   */
  of(name: FrameName, id: number): Stream | undefined {
    const stream = this.#open.get(id);
    if (!stream && id > this.#last) throw new FshError("BAD_STREAM", { subject: name, detail: String(id) });
    return stream;
  }

  /** One is over. */
  remove(stream: Stream): void {
    this.#open.delete(stream.id);
    this.#unbegun.delete(stream.id);
    // In another turn, when a server in the same process has noticed that it is over, too.
    if (this.#unbegun.size > 0) this.#cancelBegin ??= this.#options.clock.after(0, () => this.#beginWaiting());
    if (this.#open.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Resolves when none is open, from the next one that ends on. */
  idle(): Promise<void> {
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** The weight of the heaviest stream that is open. */
  get heaviest(): number {
    let heaviest: number = PRIORITIES.low;
    for (const { weight } of this.#open.values()) heaviest = Math.max(heaviest, weight);
    return heaviest;
  }

  /** Since when the peer keeps one of them waiting, having moved nothing since `progress`; null: none. */
  stalledSince(progress: number): number | null {
    let since: number | null = null;
    for (const stream of this.#open.values()) {
      const stalled = stream.stalledSince(progress);
      if (stalled !== null) since = Math.min(since ?? stalled, stalled);
    }
    return since;
  }

  /** The session has ended, by this error. */
  end(error: FshError): void {
    this.#cancelBegin?.();
    this.sever(error);
  }

  /** All of them fail, without a word to the peer. */
  sever(error: FshError): void {
    for (const stream of this.all()) stream.sever(error);
  }
}
