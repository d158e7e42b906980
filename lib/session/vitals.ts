import type { Clock } from "../base/clock.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Terms } from "./handshake.ts";
import type { Stream } from "./stream.ts";

/** While data flows, the round trip is measured this often, in milliseconds. */
const PROBE_INTERVAL = 250;

export interface VitalsOptions {
  readonly clock: Clock;
  readonly terms: Terms;
  /** Milliseconds that a transfer may wait for the peer to move a byte; 0: for ever. */
  readonly stallTimeout: number;
  /** Milliseconds without a frame from the peer before an unused session ends; 0: never. */
  readonly idleTimeout: number;
  /** The streams that are open now. */
  readonly streams: () => Iterable<Stream>;
  readonly ping: (nonce: number) => void;
  readonly dead: (silence: number) => void;
  readonly missed?: (() => void) | undefined;
  readonly stalled: (stream: Stream) => void;
  readonly idle: () => void;
}

/** Watches over a session that is ready: is the peer alive, do transfers move, is anybody using it? */
export class Vitals {
  readonly #options: VitalsOptions;
  readonly #heartbeat: Heartbeat;
  #lastReceived: number;
  #lastSent: number;
  #lastProbe: number;
  /** When a transfer last moved on, in either direction. */
  #lastProgress: number;
  #cancelWatch: (() => void) | null = null;
  /** It is this side that does not read. */
  #held = false;
  /** When this side last read on. */
  #resumed = -Infinity;

  constructor(options: VitalsOptions) {
    const { clock, terms, ping, dead, missed } = options;
    this.#options = options;
    this.#lastReceived =
      this.#lastSent =
      this.#lastProbe =
      this.#lastProgress =
        clock.now();
    this.#heartbeat = new Heartbeat({
      clock,
      interval: terms.heartbeat,
      misses: terms.misses,
      send: ping,
      dead,
      missed,
    });
    this.#watch();
    // The first measure, before data stands in its way.
    this.#heartbeat.probe();
  }

  /** Milliseconds of the shortest round trip so far; null before the first. */
  get roundTrip(): number | null {
    return this.#heartbeat.shortest;
  }

  /** Sends a PING and resolves to its round trip in milliseconds. */
  ping(): Promise<number> {
    return this.#heartbeat.ping();
  }

  pong(nonce: number): void {
    this.#heartbeat.pong(nonce);
  }

  /** Bytes came in. */
  received(): void {
    this.#lastReceived = this.#options.clock.now();
    this.#heartbeat.heard();
    this.#reassure();
    this.#probe(this.#lastReceived);
  }

  /** Bytes went out. */
  written(now: number): void {
    this.#lastSent = now;
    this.#probe(now);
  }

  /** The peer took bytes that had been waiting for room. */
  moved(): void {
    this.#heartbeat.heard();
  }

  /** A transfer moved on. */
  progressed(): void {
    this.#lastProgress = this.#lastReceived;
  }

  /** When a transfer last moved on, in either direction. */
  get lastProgress(): number {
    return this.#lastProgress;
  }

  /** Since when this side has read whatever came; null: it does not. */
  get readsSince(): number | null {
    return this.#held ? null : this.#resumed;
  }

  /** This side does not read for a while: the peer's silence means nothing, and it must hear that it is not forgotten. */
  hold(): void {
    this.#held = true;
    this.#heartbeat.hold(true);
  }

  /** This side reads again. */
  resume(): void {
    this.#held = false;
    this.#resumed = this.#lastReceived = this.#options.clock.now();
    this.#heartbeat.hold(false);
  }

  stop(): void {
    this.#heartbeat.stop();
    this.#cancelWatch?.();
  }

  /**
   * Says something to a peer that keeps sending while we have nothing to say: its PING, and our PONG to it, may be stuck
   * behind megabytes on a slow link.
   */
  #reassure(): void {
    const { heartbeat } = this.#options.terms;
    if (heartbeat === 0 || this.#lastReceived - this.#lastSent < heartbeat / 3) return;
    this.#lastSent = this.#lastReceived;
    this.#heartbeat.ping();
  }

  /** Measures the round trip while streams are open. */
  #probe(now: number): void {
    if (now - this.#lastProbe < PROBE_INTERVAL || !this.#isUsed()) return;
    this.#lastProbe = now;
    this.#heartbeat.probe();
  }

  #isUsed(): boolean {
    for (const _ of this.#options.streams()) return true;
    return false;
  }

  /** Looks now and then for transfers that stall and for a session that nobody uses. */
  #watch(): void {
    const { clock, stallTimeout, idleTimeout, streams, stalled, idle } = this.#options;
    const shortest = Math.min(stallTimeout || Infinity, idleTimeout || Infinity);
    if (shortest === Infinity) return;
    this.#cancelWatch = clock.after(Math.max(shortest / 4, 10), () => {
      const reads = !this.#held && clock.now() - this.#resumed > stallTimeout;
      for (const stream of [...streams()]) {
        if (stallTimeout > 0 && reads && stream.hasStalled(stallTimeout, this.#lastProgress)) stalled(stream);
      }
      if (idleTimeout > 0 && !this.#isUsed() && clock.now() - this.#lastReceived > idleTimeout) idle();
      else this.#watch();
    });
  }
}
