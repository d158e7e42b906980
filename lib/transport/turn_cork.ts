import { setImmediate } from "node:timers";
import type { NativeSocket } from "../native/native.ts";

/**
 * Sends what is written within one turn of the event loop together (TCP_CORK): an answer and its first data are one
 * segment instead of two. Full segments leave at once all the same; the kernel itself holds nothing longer than 200 ms
 * (tcp(7)).
 */
export class TurnCork {
  readonly #socket: NativeSocket;
  readonly #closed: () => boolean;
  #corked = false;
  #writes = 0;
  /** How many ask for more than a turn. */
  #holders = 0;
  #looking = false;

  /** `closed`: whether the socket is not to be touched any more. */
  constructor(socket: NativeSocket, closed: () => boolean) {
    this.#socket = socket;
    this.#closed = closed;
  }

  /** Something is about to be written. */
  writing(): void {
    this.#writes++;
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork(true);
    this.#look();
  }

  /** Holds on until it is let go, whatever turns pass. */
  hold(on: boolean): void {
    if (on) this.writing();
    this.#holders += on ? 1 : -1;
    if (this.#holders === 0 && this.#corked) this.#look();
  }

  /** Lets go after a turn in which nothing was written. While somebody holds on, there is nothing to look at. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    const before = this.#writes;
    setImmediate(() => {
      this.#looking = false;
      if (this.#closed() || this.#holders > 0) return;
      if (this.#writes !== before) return this.#look();
      this.#corked = false;
      this.#socket.cork(false);
    });
  }
}
