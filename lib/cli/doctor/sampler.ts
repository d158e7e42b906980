import type { Session } from "../../session/session.ts";
import type { SocketReport } from "../../transport/transport.ts";
import { type MachineTime, machineTime, type ThreadTime, threadTime } from "./own_load.ts";

/** Milliseconds between two looks at the socket, and between two PINGs. */
const INTERVAL = 50;

/** One look. */
export interface Sample {
  /** Milliseconds since the begin. */
  readonly at: number;
  /** Bytes that have gone through by then. */
  readonly bytes: number;
  /** Bytes that the system had then and this program had not read; null: not known. */
  readonly unread: number | null;
  readonly socket: SocketReport | null;
}

export interface Samples {
  readonly ms: number;
  readonly all: readonly Sample[];
  /** How long each PING took, in milliseconds. */
  readonly pings: readonly number[];
  readonly thread: Span<ThreadTime>;
  readonly machine: Span<MachineTime>;
}

/** At the begin and at the end; null where the system does not tell. */
export type Span<T> = { readonly from: T; readonly to: T } | null;

/** Looks at a session again and again while something runs over it. */
export class Sampler {
  readonly #session: Session;
  readonly #direction: "get" | "put";
  readonly #encrypted: boolean;
  readonly #begun = performance.now();
  readonly #origin: number;
  readonly #thread = threadTime();
  readonly #machine = machineTime();
  readonly #all: Sample[] = [];
  readonly #pings: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #stopped = false;

  constructor(session: Session, options: { readonly direction: "get" | "put"; readonly encrypted: boolean }) {
    this.#session = session;
    this.#direction = options.direction;
    this.#encrypted = options.encrypted;
    this.#origin = this.#bytes(session.inspect());
    this.#look();
    this.#timer = setInterval(() => this.#look(), INTERVAL);
    void this.#pingOn();
  }

  /** As of now; nothing is looked at any more. */
  stop(): Samples {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#look();
    return {
      ms: performance.now() - this.#begun,
      all: this.#all,
      pings: this.#pings,
      thread: span(this.#thread, threadTime()),
      machine: span(this.#machine, machineTime()),
    };
  }

  #look(): void {
    const socket = this.#session.inspect();
    this.#all.push({
      at: performance.now() - this.#begun,
      bytes: this.#bytes(socket) - this.#origin,
      unread: this.#unread(socket),
      socket,
    });
  }

  /** What the peer has, where that is known: megabytes may wait in the send buffer. */
  #bytes(socket: SocketReport | null): number {
    if (this.#direction === "get") return this.#session.received;
    return socket ? socket.info.bytesAcked : this.#session.sent;
  }

  /** Over TLS the system counts other bytes than the session does. */
  #unread(socket: SocketReport | null): number | null {
    if (socket === null || this.#encrypted) return null;
    return Math.max(0, socket.info.bytesReceived - this.#session.received);
  }

  async #pingOn(): Promise<void> {
    try {
      while (!this.#stopped) {
        const time = await this.#session.ping();
        if (!this.#stopped) this.#pings.push(time);
        await new Promise((resolve) => setTimeout(resolve, INTERVAL));
      }
    } catch {
      // The session has ended; the transfer says why.
    }
  }
}

function span<T>(from: T | null, to: T | null): Span<T> {
  return from === null || to === null ? null : { from, to };
}
