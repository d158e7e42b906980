import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Connection } from "../transport/transport.ts";
import type { FrameHeader, RawFrame } from "../wire/codec.ts";
import type { FrameName } from "../wire/frames.ts";
import { checkPreface, PREFACE } from "../wire/preface.ts";
import { Splitter } from "../wire/splitter.ts";
import type { SessionLoad } from "./load.ts";
import { ReceiveMemory } from "./receive_memory.ts";
import type { Vitals } from "./vitals.ts";

/** The session that is read for. */
export interface ReaderHost {
  /** Failed: it can't go on, and what still comes in is not looked at. */
  state(): "open" | "failed" | "closed";
  /** Null before READY. */
  vitals(): Vitals | null;
  openStreams(): number;
  /** Requests that are being served. */
  running(): number;
  /** Names the frame of a header that has come. @throws {FshError} where it may not come, or not now */
  check(header: FrameHeader): FrameName;
  /** The peer's first bytes are those of FSH/1. */
  introduced(): void;
  /** They are not, or did not come: these are all. */
  strayed(first: Uint8Array, error: unknown): void;
  /** Takes a frame, whose payload is good until this returns. @throws {FshError} where it breaks the protocol */
  receive(frame: RawFrame): void;
  fail(error: unknown): void;
}

export interface ReaderOptions {
  readonly clock: Clock;
  readonly memory: MemoryAccount;
  readonly load: SessionLoad | undefined;
}

/** The only reader of a connection: cuts what comes into frames, and reads no faster than memory and the others allow. */
export class Reader {
  /** Bytes that came in, headers included. */
  received = 0;
  readonly #connection: Connection;
  readonly #host: ReaderHost;
  readonly #clock: Clock;
  readonly #load: SessionLoad | undefined;
  readonly #splitter: Splitter;
  readonly #room: ReceiveMemory;

  constructor(connection: Connection, host: ReaderHost, { clock, memory, load }: ReaderOptions) {
    this.#connection = connection;
    this.#host = host;
    this.#clock = clock;
    this.#load = load;
    this.#splitter = new Splitter((header) => host.check(header));
    this.#room = new ReceiveMemory(this.#splitter, memory);
  }

  /** Since when the peer keeps us waiting for the rest of a frame; see ReceiveMemory. */
  get waitsSince(): number | null {
    return this.#room.waitsSince;
  }

  /** Whether a frame has come in part. */
  get isMidFrame(): boolean {
    return this.#splitter.pending > 0;
  }

  /**
   * Reads until the peer has said its last, the session has failed, or it is closed. Rejects when the connection fails.
   */
  async run(): Promise<"left" | "failed" | "closed"> {
    const host = this.#host;
    if (!await this.#readPreface()) return "failed";
    host.introduced();
    for (;;) {
      const stop = this.#receiveAll();
      if (stop) await (stop === "hold back" ? this.#holdBack() : this.#pause(stop));
      const state = host.state();
      if (state !== "open") return state;
      if (stop) continue;
      this.#room.relax(host.openStreams() === 0);
      const room = this.#room.grow({ ready: host.vitals() !== null });
      if (room) await this.#pause(room);
      const begun = this.#clock.now();
      this.#room.awaitsFrame(begun);
      const read = await this.#connection.read(this.#splitter.space());
      if (read === null) return host.state() === "failed" ? "failed" : "left";
      this.received += read;
      this.#load?.read(read, this.#clock.now() - begun);
      host.vitals()?.received();
      this.#splitter.filled(read);
    }
  }

  /** The peer's first bytes; false where they are not FSH/1. What is behind them stays for the splitter. */
  async #readPreface(): Promise<boolean> {
    const first = new Uint8Array(PREFACE.length);
    let have = 0;
    try {
      while (!checkPreface(first.subarray(0, have))) {
        const read = await this.#connection.read(first.subarray(have));
        if (read === null) throw new FshError("CONNECTION_LOST", { detail: "before it said a word" });
        this.received += read;
        have += read;
      }
      return true;
    } catch (error) {
      this.#host.strayed(first, error);
      return false;
    }
  }

  /** Waits for memory, in which time the peer's silence means nothing. */
  async #pause(room: Promise<void>): Promise<void> {
    this.#room.pauses();
    this.#host.vitals()?.hold();
    await room;
    this.#host.vitals()?.resume();
  }

  /**
   * Every frame that is complete, until one breaks the protocol, there has to be room for what came of the last one, or
   * others must be heard first.
   */
  #receiveAll(): Promise<void> | "hold back" | undefined {
    const host = this.#host;
    try {
      for (let frame; host.state() === "open" && (frame = this.#splitter.next()) !== null;) {
        this.#load?.received(frame, host.running());
        host.receive(frame);
        const room = this.#room.received(frame);
        if (room) return room;
        if (this.#load?.mustPause) return "hold back";
      }
    } catch (error) {
      host.fail(error);
    }
    return undefined;
  }

  /** Leaves the session unread for a while, which is no silence of the peer's. */
  async #holdBack(): Promise<void> {
    this.#room.pauses();
    while (this.#load?.mustPause && this.#host.state() !== "closed") {
      const over = await this.#load.pause();
      this.#host.vitals()?.moved();
      // What a peer that has left had still to say would keep us busy for long.
      if (over && this.#connection.isGone?.()) {
        this.#host.fail(new FshError("CONNECTION_LOST", { subject: this.#connection.remote }));
      }
    }
  }

  /** After `run`: reads on without looking until the peer has left or the session is closed, so that no reset is sent. */
  async discard(): Promise<void> {
    // What comes is read into a buffer of its own; others may need the large one.
    this.close();
    const waste = new Uint8Array(16 * 1024);
    const isOver = () => this.#host.state() === "closed";
    while (!isOver() && await this.#connection.read(waste) !== null) {
      this.#load?.wasted();
      while (this.#load?.mustPause && !isOver()) await this.#load.pause();
    }
  }

  /** Gives its memory back. No read may be under way. */
  close(): void {
    this.#room.close();
  }
}
