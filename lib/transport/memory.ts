import { FshError } from "../base/errors.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";

export interface MemoryOptions {
  /** Bytes that a direction holds before a writer must wait. */
  readonly capacity?: number;
  /** Most bytes that one read or write moves, so that both are as partial as those of a socket. */
  readonly chunk?: number;
  /** What the connections say of themselves; by default nobody can read along, as nothing leaves the process. */
  readonly secure?: boolean;
}

/** Connections within this process, with the manners of TCP: bounded, partial, half-closable, resettable. */
export class MemoryTransport implements Transport {
  readonly scheme = "memory";
  readonly #listeners = new Map<number, MemoryListener>();
  readonly #options: Required<MemoryOptions>;
  #nextPort = 49152;

  constructor(options: MemoryOptions = {}) {
    this.#options = {
      capacity: options.capacity ?? 64 * 1024,
      chunk: options.chunk ?? 64 * 1024,
      secure: options.secure ?? true,
    };
  }

  connect(options: ConnectOptions): Promise<Connection> {
    const subject = formatAddress(options.hostname, options.port);
    const listener = this.#listeners.get(options.port);
    if (!listener) return Promise.reject(new FshError("REFUSED", { subject }));
    const here = formatAddress("memory", this.#nextPort++);
    const [near, far] = memoryPair(this.#options, here, subject);
    listener.offer(far);
    return Promise.resolve(near);
  }

  listen(options: ListenOptions): Promise<Listener> {
    const port = options.port || this.#nextPort++;
    if (this.#listeners.has(port)) {
      return Promise.reject(new FshError("ADDRESS_IN_USE", { subject: formatAddress(options.hostname, port) }));
    }
    const listener = new MemoryListener(options.hostname, port, () => this.#listeners.delete(port));
    this.#listeners.set(port, listener);
    return Promise.resolve(listener);
  }
}

/** Two ends of one connection. */
export function memoryPair(
  options: MemoryOptions = {},
  a = "memory:1",
  b = "memory:2",
): [Connection, Connection] {
  const { secure = true } = options;
  const full = { capacity: options.capacity ?? 64 * 1024, chunk: options.chunk ?? 64 * 1024 };
  const there = new Pipe(full);
  const back = new Pipe(full);
  return [
    new MemoryConnection({ local: a, remote: b, secure }, back, there),
    new MemoryConnection({ local: b, remote: a, secure }, there, back),
  ];
}

class MemoryListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #waiting: Connection[] = [];
  readonly #closing: () => void;
  #accepting: { resolve: (connection: Connection) => void; reject: (error: Error) => void } | null = null;
  #closed = false;

  constructor(hostname: string, port: number, closing: () => void) {
    this.hostname = hostname;
    this.port = port;
    this.#closing = closing;
  }

  offer(connection: Connection): void {
    if (this.#accepting) {
      this.#accepting.resolve(connection);
      this.#accepting = null;
    } else this.#waiting.push(connection);
  }

  accept(): Promise<Connection> {
    if (this.#closed) return Promise.reject(this.#gone());
    const waiting = this.#waiting.shift();
    if (waiting) return Promise.resolve(waiting);
    return new Promise((resolve, reject) => {
      this.#accepting = { resolve, reject };
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing();
    this.#accepting?.reject(this.#gone());
    for (const connection of this.#waiting) connection.abort();
  }

  #gone(): FshError {
    return new FshError("CONNECTION_LOST", { subject: formatAddress(this.hostname, this.port) });
  }
}

/** One direction: a ring of bytes. */
class Pipe {
  readonly chunk: number;
  readonly #ring: Uint8Array;
  #from = 0;
  #held = 0;
  #ended = false;
  #failure: { reader: FshError; writer: FshError } | null = null;
  #waiting: (() => void)[] = [];

  constructor(options: { readonly capacity: number; readonly chunk: number }) {
    this.chunk = options.chunk;
    this.#ring = new Uint8Array(options.capacity);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#held === 0 && !this.#ended && !this.#failure) await this.#change();
    if (this.#failure) throw this.#failure.reader;
    if (this.#held === 0) return null;
    const some = Math.min(buffer.length, this.chunk, this.#held, this.#ring.length - this.#from);
    buffer.set(this.#ring.subarray(this.#from, this.#from + some));
    this.#from = (this.#from + some) % this.#ring.length;
    this.#held -= some;
    this.#wake();
    return some;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (this.#held === this.#ring.length && !this.#failure && !this.#ended) await this.#change();
    if (this.#failure) throw this.#failure.writer;
    if (this.#ended) throw new FshError("CONNECTION_LOST");
    const to = (this.#from + this.#held) % this.#ring.length;
    const room = Math.min(this.#ring.length - this.#held, this.#ring.length - to);
    const some = Math.min(bytes.length, this.chunk, room);
    this.#ring.set(bytes.subarray(0, some), to);
    this.#held += some;
    this.#wake();
    return some;
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(reader: FshError, writer: FshError): void {
    this.#failure ??= { reader, writer };
    this.#wake();
  }

  get hasUnread(): boolean {
    return this.#held > 0;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

class MemoryConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly secure: boolean;
  readonly #in: Pipe;
  readonly #out: Pipe;
  #closed = false;

  constructor(ends: { local: string; remote: string; secure: boolean }, from: Pipe, to: Pipe) {
    this.local = ends.local;
    this.remote = ends.remote;
    this.secure = ends.secure;
    this.#in = from;
    this.#out = to;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    // Not in the caller's turn, as with a socket.
    await undefined;
    return this.#in.read(buffer);
  }

  async write(bytes: Uint8Array): Promise<number> {
    await undefined;
    return this.#out.write(bytes);
  }

  closeWrite(): Promise<void> {
    this.#out.end();
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    // Closing with data unread resets, as TCP does (RFC 2525, section 2.17).
    if (this.#in.hasUnread) return this.abort();
    this.#closed = true;
    this.#shut(this.#in);
    this.#out.end();
  }

  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#shut(this.#in);
    const lost = new FshError("CONNECTION_LOST", { subject: this.remote });
    this.#out.fail(new FshError("CONNECTION_RESET", { subject: this.local }), lost);
  }

  #shut(pipe: Pipe): void {
    const lost = new FshError("CONNECTION_LOST", { subject: this.remote });
    pipe.fail(lost, new FshError("CONNECTION_RESET", { subject: this.local }));
  }
}
