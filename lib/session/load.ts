import type { Clock } from "../base/clock.ts";
import { EventLoop } from "../base/event_loop.ts";
import { Movers } from "../base/movers.ts";
import { type WorkShare, WorkTurns } from "../base/work_turns.ts";
import type { RawFrame } from "../wire/codec.ts";
import { frameRow } from "../wire/frames.ts";
import { FloodLimit } from "./flood_limit.ts";
import { type Company, FEW, frameCost, IN_VAIN, TINY_READ, WASTE } from "./frame_costs.ts";
import { type FrameShare, FrameShares } from "./frame_shares.ts";

/** Units that are spent and requests that are taken in one go, so that nobody else waits longer than for these. */
const AT_ONE_GO = { units: 500, requests: 100 };
/** A read that was waited for longer, in milliseconds, gave everybody else a turn; what is there already takes less. */
const TURN = 0.1;
/** Bytes of content from which on a transfer is a large one. Many small ones are requests, above all. */
const LARGE = 256 * 1024;

/** What keeps a server busy, and how that is shared among its sessions. */
export class ServerLoad {
  readonly work: WorkTurns;
  readonly #clock: Clock;
  readonly #frames: FrameShares;
  readonly #large: Movers<SessionLoad>;
  readonly #loop = new EventLoop();

  constructor(clock: Clock) {
    this.#large = new Movers(clock);
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
    return new SessionLoad({
      frames: this.#frames,
      work: this.work.join(),
      large: this.#large,
      clock: this.#clock,
      loop: this.#loop,
    });
  }
}

/** One session's part in it. */
export class SessionLoad {
  readonly work: WorkShare;
  readonly #frames: FrameShare;
  readonly #large: Movers<SessionLoad>;
  readonly #loop: EventLoop;
  readonly #pings: FloodLimit;
  readonly #cancels: FloodLimit;
  readonly #inOneGo = { units: 0, requests: 0 };
  /** The last answer was a refusal. */
  #refused = false;

  constructor(
    options: {
      readonly frames: FrameShares;
      readonly work: WorkShare;
      /** Sessions whose large transfers move. */
      readonly large: Movers<SessionLoad>;
      readonly clock: Clock;
      readonly loop: EventLoop;
    },
  ) {
    this.#frames = options.frames.join(() => this.#othersMove);
    this.#large = options.large;
    this.#loop = options.loop;
    this.work = options.work;
    this.#pings = new FloodLimit("PING", options.clock);
    this.#cancels = new FloodLimit("CANCEL", options.clock);
  }

  /** Whether large transfers of other sessions move. */
  get #othersMove(): boolean {
    return this.#large.othersMove(this);
  }

  readonly #company = (): Company =>
    this.#othersMove ? "large transfers" : this.#frames.spenders > FEW ? "many" : "few";

  /**
   * Counts a frame that came in, while so many requests of the session are being served.
   *
   * @throws {FshError} FLOOD
   */
  received(frame: RawFrame, unanswered: number): void {
    if (frame.name === "PING") this.#pings.count();
    else if (frame.name === "CANCEL") this.#cancels.count();
    const cost = frameCost(frame, { unanswered, refused: this.#refused, company: this.#company });
    this.#inOneGo.units += cost;
    if (frameRow(frame.name).on === "opens") this.#inOneGo.requests++;
    if (cost > 0) this.#frames.spend(cost);
  }

  /** Counts a read from the connection, which was waited for so many milliseconds. */
  read(bytes: number, waited: number): void {
    if (waited > TURN) this.#begin();
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

  /** Content of a transfer was moved, either way; before that, of the same, `before` bytes were. */
  moved(bytes: number, before: number): void {
    this.#frames.earn(bytes);
    this.work.moved();
    if (before + bytes >= LARGE) this.#large.moved(this);
  }

  /** Whether others should be heard first. */
  get mustPause(): boolean {
    const { units, requests } = this.#inOneGo;
    return units >= AT_ONE_GO.units || requests >= AT_ONE_GO.requests || this.#frames.isOver;
  }

  /** Others have had a turn. */
  #begin(): void {
    this.#inOneGo.units = this.#inOneGo.requests = 0;
  }

  /** Resolves when the session may be read on: whether it had had more than its part. */
  async pause(): Promise<boolean> {
    this.#begin();
    const over = this.#frames.isOver;
    if (over) await this.#frames.wait();
    else await new Promise<void>((resolve) => this.#loop.after(resolve));
    return over;
  }
}
