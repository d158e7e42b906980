import type { Clock } from "../base/clock.ts";
import { EventLoop } from "../base/event_loop.ts";
import { type WorkShare, WorkTurns } from "../base/work_turns.ts";
import type { RawFrame } from "../wire/codec.ts";
import { FloodLimit } from "./flood_limit.ts";
import { CRUMB, frameCost, IN_VAIN, TINY_READ, WASTE } from "./frame_costs.ts";
import { type FrameShare, FrameShares } from "./frame_shares.ts";

/** Units that are spent in one go, so that nobody else waits longer than for these. */
const AT_ONE_GO = 500;
/** A read that was waited for longer, in milliseconds, gave everybody else a turn; what is there already takes less. */
const TURN = 0.1;

/** What keeps a server busy, and how that is shared among its sessions. */
export class ServerLoad {
  readonly work: WorkTurns;
  readonly #clock: Clock;
  readonly #frames: FrameShares;
  readonly #loop = new EventLoop();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.work = new WorkTurns({ clock, after: (call) => this.#loop.after(call) });
    this.#frames = new FrameShares(clock);
  }

  /** The last session has ended. */
  close(): void {
    this.work.close();
    this.#frames.close();
    this.#loop.close();
  }

  join(): SessionLoad {
    const work = this.work.join();
    return new SessionLoad(this.#frames.join(() => work.othersMove), { work, clock: this.#clock, loop: this.#loop });
  }
}

/** One session's part in it. */
export class SessionLoad {
  readonly work: WorkShare;
  readonly #frames: FrameShare;
  readonly #loop: EventLoop;
  readonly #pings: FloodLimit;
  readonly #cancels: FloodLimit;
  #inOneGo = 0;
  /** The last answer was a refusal. */
  #refused = false;

  constructor(
    frames: FrameShare,
    options: { readonly work: WorkShare; readonly clock: Clock; readonly loop: EventLoop },
  ) {
    this.#frames = frames;
    this.#loop = options.loop;
    this.work = options.work;
    this.#pings = new FloodLimit("PING", options.clock);
    this.#cancels = new FloodLimit("CANCEL", options.clock);
  }

  /**
   * Counts a frame that came in, while so many requests of the session are being served.
   *
   * @throws {FshError} FLOOD
   */
  received(frame: RawFrame, unanswered: number): void {
    if (frame.name === "PING") this.#pings.count();
    else if (frame.name === "CANCEL") this.#cancels.count();
    else if (frame.name === "DATA" && frame.payload.length >= CRUMB) this.moved(frame.payload.length);
    const cost = frameCost(frame, { unanswered, refused: this.#refused, othersMove: () => this.work.othersMove });
    this.#inOneGo += cost;
    if (cost > 0) this.#frames.spend(cost);
  }

  /** Counts a read from the connection, which was waited for so many milliseconds. */
  read(bytes: number, waited: number): void {
    if (waited > TURN) this.#inOneGo = 0;
    if (bytes < TINY_READ) this.#frames.spend(1);
  }

  /** Counts what is read only to be thrown away. */
  wasted(): void {
    this.#frames.spend(WASTE);
  }

  /**
   * A request was refused, as the session, or all of them, have too much already. Whoever goes on asking pays for that
   * beforehand from then on: what is counted afterwards would be a debt that is forgiven.
   */
  refused(): void {
    if (!this.#refused) this.#frames.spend(IN_VAIN);
    this.#refused = true;
  }

  /** A request was answered. */
  served(): void {
    this.#refused = false;
  }

  /** Content was moved, either way. */
  moved(bytes: number): void {
    this.#frames.earn(bytes);
    this.work.moved();
  }

  /** Whether others should be heard first. */
  get mustPause(): boolean {
    return this.#inOneGo >= AT_ONE_GO || this.#frames.isOver;
  }

  /** Resolves when the session may be read on: whether it had had more than its part. */
  async pause(): Promise<boolean> {
    this.#inOneGo = 0;
    const over = this.#frames.isOver;
    if (over) await this.#frames.wait();
    else await new Promise<void>((resolve) => this.#loop.after(resolve));
    return over;
  }
}
