import { errno, type Libc, systemError } from "./libc.ts";

// Values of sys/epoll.h.
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLOUT = 0x04;
/** Milliseconds that one wait lasts at the most. */
const TIMEOUT = 1000;
/** Events that are taken at once. */
const EVENTS = 256;
/** struct epoll_event (epoll_ctl(2)): u32 events and u64 data, packed on x86-64 only. */
const EVENT = Deno.build.arch === "x86_64" ? { bytes: 12, data: 4 } : { bytes: 16, data: 8 };

/**
 * Waits for sockets to take more. One thread waits for all of them: with a thread for each, some hundred peers that read
 * nothing would take all those that the runtime has for calls in the background, and everybody else's would have to wait.
 */
export class SocketRoom {
  readonly #libc: Libc;
  readonly #waiting = new Map<number, () => void>();
  readonly #events = new Uint8Array(EVENTS * EVENT.bytes);
  readonly #event = new Uint8Array(EVENT.bytes);
  #epoll = -1;
  #running = false;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Resolves when the socket takes more, or has ended: the next call on it tells. One wait per descriptor at a time. */
  wait(socket: number): Promise<void> {
    if (this.#epoll < 0) {
      this.#epoll = this.#libc.epoll_create1(EPOLL_CLOEXEC);
      if (this.#epoll < 0) return Promise.reject(systemError("epoll_create1", errno(this.#libc)));
    }
    const view = new DataView(this.#event.buffer);
    view.setUint32(0, EPOLLOUT, true);
    view.setUint32(EVENT.data, socket, true);
    if (this.#libc.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, socket, this.#event) !== 0) {
      return Promise.reject(systemError("epoll_ctl", errno(this.#libc)));
    }
    return new Promise((resolve) => {
      this.#waiting.set(socket, resolve);
      if (!this.#running) this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    const view = new DataView(this.#events.buffer);
    while (this.#waiting.size > 0) {
      const count = await this.#libc.epoll_wait(this.#epoll, this.#events, EVENTS, TIMEOUT);
      for (let at = 0; at < count; at++) this.#wake(view.getUint32(at * EVENT.bytes + EVENT.data, true));
    }
    this.#running = false;
  }

  #wake(socket: number): void {
    this.#libc.epoll_ctl(this.#epoll, EPOLL_CTL_DEL, socket, this.#event);
    const resolve = this.#waiting.get(socket);
    this.#waiting.delete(socket);
    resolve?.();
  }
}
