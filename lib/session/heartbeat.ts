import type { Clock } from "../base/clock.ts";

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Milliseconds of silence before a PING; 0: no heartbeat, only `ping`. */
  readonly interval: number;
  /** Unanswered PINGs before the peer counts as dead. */
  readonly misses: number;
  readonly send: (nonce: number) => void;
  /** Called once, after (misses + 1) × interval of silence. */
  readonly dead: (silence: number) => void;
  /** Called for each PING that was not answered in time. */
  readonly missed?: (() => void) | undefined;
}

/**
 * Notices a peer that no longer answers. Anything that proves life resets it: not only a PONG. When this process itself
 * stood still (a suspended laptop, SIGSTOP), the peer gets its full time again.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #waiting = new Map<number, { sent: number; resolve: (ms: number) => void }>();
  #heard: number;
  #missed = 0;
  #nonce = 0;
  #cancel: (() => void) | null = null;
  #stopped = false;
  #held = false;
  /** Milliseconds of the last round trip; null before the first. */
  roundTrip: number | null = null;
  /** Milliseconds of the shortest one so far; null before the first. */
  shortest: number | null = null;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#heard = options.clock.now();
    if (options.interval > 0) this.#schedule(options.interval);
  }

  /** The peer lives: a frame came in, or it took data that had been waiting for room. */
  heard(): void {
    this.#heard = this.#options.clock.now();
    this.#missed = 0;
  }

  /** Measures the round trip while data flows, one PING at a time. */
  probe(): void {
    if (this.#waiting.size === 0 && !this.#stopped) this.#send(() => {});
  }

  /** Sends a PING and resolves to its round trip in milliseconds; never, if the session ends first. */
  ping(): Promise<number> {
    return new Promise((resolve) => this.#send(resolve));
  }

  /** A PONG came in; one that was not asked for changes nothing. */
  pong(nonce: number): void {
    const asked = this.#waiting.get(nonce);
    if (!asked) return;
    this.#waiting.delete(nonce);
    this.roundTrip = this.#options.clock.now() - asked.sent;
    this.shortest = Math.min(this.shortest ?? Infinity, this.roundTrip);
    asked.resolve(this.roundTrip);
  }

  /** While held, this side does not listen: it goes on to send PINGs, so that the peer hears something, and expects nothing. */
  hold(held: boolean): void {
    this.#held = held;
    this.heard();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#waiting.clear();
  }

  #send(resolve: (ms: number) => void): void {
    const nonce = ++this.#nonce;
    this.#waiting.set(nonce, { sent: this.#options.clock.now(), resolve });
    this.#options.send(nonce);
  }

  #schedule(ms: number): void {
    const due = this.#options.clock.now() + ms;
    this.#cancel = this.#options.clock.after(ms, () => this.#tick(due));
  }

  #tick(due: number): void {
    if (this.#stopped) return;
    const { clock, interval, misses, dead, missed } = this.#options;
    const now = clock.now();
    if (this.#held) {
      this.heard();
      this.#send(() => {});
      return this.#schedule(interval);
    }
    if (now - due > interval) this.heard();
    const silence = now - this.#heard;
    const allowed = (this.#missed + 1) * interval;
    if (silence < allowed) return this.#schedule(allowed - silence);
    if (this.#missed > 0) missed?.();
    if (this.#missed === misses) {
      this.stop();
      return dead(silence);
    }
    this.#missed++;
    this.#send(() => {});
    this.#schedule(Math.max(0, (this.#missed + 1) * interval - silence));
  }
}
