import { lookup } from "node:dns/promises";
import type { FileRegion } from "../base/file_region.ts";
import { FshError } from "../base/errors.ts";
import { native } from "../native/load.ts";
import type { KeepAlive, NativeSocket } from "../native/native.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";

/** 60 s idle, 10 s interval, 3 probes: a peer that vanished is noticed within 90 s even with the heartbeat off. */
export const DEFAULT_KEEPALIVE: KeepAlive = { idle: 60, interval: 10, count: 3 };

/** Milliseconds before the next address is tried beside the one that has not answered (RFC 8305, section 5). */
const ATTEMPT_DELAY = 250;

/**
 * Within one machine there is no congestion to control, and where the system's choice paces what it sends (BBR), its
 * timers cost more than the transfer. This one is built into every Linux kernel and open to every user.
 */
const UNPACED = "reno";

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

export class TcpTransport implements Transport {
  readonly scheme = "fsh";
  readonly #keepAlive: KeepAlive;

  constructor(keepAlive: KeepAlive = DEFAULT_KEEPALIVE) {
    this.#keepAlive = keepAlive;
  }

  /**
   * Tries every address that the host name has, each a little after the one before, and keeps the first that answers.
   *
   * @throws {FshError} UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT, naming host, port and addresses
   */
  async connect(options: ConnectOptions): Promise<Connection> {
    const { hostname, port } = options;
    const subject = formatAddress(hostname, port);
    const giveUp = new AbortController();
    const timedOut = () =>
      giveUp.abort(new FshError("CONNECT_TIMEOUT", { subject, detail: `within ${options.timeout / 1000} s` }));
    const timer = options.timeout > 0 ? setTimeout(timedOut, options.timeout) : undefined;
    const interrupted = () => giveUp.abort(new FshError("INTERRUPTED"));
    options.signal?.addEventListener("abort", interrupted);
    try {
      if (options.signal?.aborted) interrupted();
      const addresses = await unlessAborted(resolve(hostname, subject), giveUp.signal);
      return new TcpConnection(await race(addresses, port, subject, giveUp.signal), this.#keepAlive);
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", interrupted);
    }
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, naming the address */
  // deno-lint-ignore require-await
  async listen(options: ListenOptions): Promise<Listener> {
    const subject = formatAddress(options.hostname, options.port);
    try {
      return new TcpListener(Deno.listen({ ...options, transport: "tcp" }), this.#keepAlive);
    } catch (cause) {
      if (cause instanceof Deno.errors.AddrInUse) {
        throw new FshError("ADDRESS_IN_USE", {
          subject,
          detail: "stop the other program or take another --port",
          cause,
        });
      }
      if (cause instanceof Deno.errors.AddrNotAvailable) throw new FshError("ADDRESS_UNAVAILABLE", { subject, cause });
      if (cause instanceof Deno.errors.PermissionDenied) {
        throw new FshError("PORT_DENIED", {
          subject,
          detail: options.port < 1024 ? "ports below 1024 need root; take a --port from 1024 on" : undefined,
          cause,
        });
      }
      if (/lookup|resolv|Name or service/i.test(String(cause))) {
        throw new FshError("UNKNOWN_HOST", { subject: options.hostname, cause });
      }
      throw connectionError(cause, subject);
    }
  }
}

async function resolve(hostname: string, subject: string): Promise<string[]> {
  try {
    const found = await lookup(hostname, { all: true });
    const addresses = [...new Set(found.map((one) => one.address))];
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    throw new FshError("UNKNOWN_HOST", { subject: hostname, cause });
  }
  throw new FshError("UNKNOWN_HOST", { subject });
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** The first connection that succeeds; the others are closed. With none, the error of the first address. */
function race(addresses: string[], port: number, subject: string, signal: AbortSignal): Promise<Deno.TcpConn> {
  return new Promise((resolve, reject) => {
    const losers = new AbortController();
    const failures: FshError[] = [];
    let begun = 0;
    let settled = false;
    let delay: ReturnType<typeof setTimeout> | undefined;

    const settle = (end: () => void) => {
      settled = true;
      clearTimeout(delay);
      signal.removeEventListener("abort", aborted);
      losers.abort();
      end();
    };
    const aborted = () => settle(() => reject(signal.reason));
    const next = () => {
      clearTimeout(delay);
      const hostname = addresses[begun];
      if (settled || hostname === undefined) return;
      begun++;
      if (begun < addresses.length) delay = setTimeout(next, ATTEMPT_DELAY);
      Deno.connect({ hostname, port, signal: losers.signal }).then((connection) => {
        if (settled) connection.close();
        else settle(() => resolve(connection));
      }, (cause) => {
        if (settled) return;
        const address = formatAddress(hostname, port);
        failures.push(connectError(cause, address === subject ? subject : `${subject} [${hostname}]`));
        if (failures.length === addresses.length) settle(() => reject(failures[0]));
        else next();
      });
    };
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
    else next();
  });
}

/** As `connectionError`, for an attempt to connect. */
function connectError(cause: unknown, subject: string): FshError {
  if (cause instanceof Deno.errors.TimedOut) return new FshError("CONNECT_TIMEOUT", { subject, cause });
  if (cause instanceof Deno.errors.AddrNotAvailable) return new FshError("UNREACHABLE", { subject, cause });
  return connectionError(cause, subject);
}

/** What went wrong with a socket, told apart: refused, unreachable, reset, given up by the kernel, closed. */
function connectionError(cause: unknown, subject: string): FshError {
  const text = String(cause);
  if (cause instanceof Deno.errors.ConnectionRefused) {
    return new FshError("REFUSED", { subject, detail: "is a server running there?", cause });
  }
  if (
    cause instanceof Deno.errors.ConnectionReset || cause instanceof Deno.errors.ConnectionAborted ||
    cause instanceof Deno.errors.BrokenPipe
  ) return new FshError("CONNECTION_RESET", { subject, cause });
  if (cause instanceof Deno.errors.TimedOut) {
    return new FshError("PEER_TIMEOUT", { subject, detail: "the peer's system did not answer", cause });
  }
  if (/os error (101|113|65|10051|10065)\b|unreachable|no route/i.test(text)) {
    return new FshError("UNREACHABLE", { subject, cause });
  }
  if (/os error (23|24)\b|too many open files/i.test(text)) return new FshError("TOO_MANY_FILES", { subject, cause });
  return new FshError("CONNECTION_LOST", { subject, cause });
}

class TcpListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #keepAlive: KeepAlive;
  #closed = false;

  constructor(listener: Deno.TcpListener, keepAlive: KeepAlive) {
    this.#listener = listener;
    this.#keepAlive = keepAlive;
    this.hostname = listener.addr.hostname;
    this.port = listener.addr.port;
  }

  async accept(): Promise<Connection> {
    try {
      return new TcpConnection(await this.#listener.accept(), this.#keepAlive);
    } catch (cause) {
      throw connectionError(cause, formatAddress(this.hostname, this.port));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
  }
}

class TcpConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly #socket: Deno.TcpConn;
  #native: NativeSocket | null = null;
  #writing = false;
  #closed = false;

  constructor(socket: Deno.TcpConn, keepAlive: KeepAlive) {
    this.#socket = socket;
    this.local = formatAddress(socket.localAddr.hostname, socket.localAddr.port);
    this.remote = formatAddress(socket.remoteAddr.hostname, socket.remoteAddr.port);
    try {
      // A frame is one write, so there is nothing for Nagle's algorithm (RFC 896) to gather.
      socket.setNoDelay(true);
      socket.setKeepAlive(true);
      this.#native = native().sockets?.find(socket) ?? null;
      this.#native?.setKeepAlive(keepAlive);
      if (isLoopback(socket.remoteAddr.hostname)) this.#native?.setCongestionControl(UNPACED);
    } catch {
      // The peer is gone already; the first read says so.
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await this.#socket.read(buffer);
    } catch (cause) {
      throw connectionError(cause, this.remote);
    }
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#writing = true;
    try {
      return await this.#socket.write(bytes);
    } catch (cause) {
      throw connectionError(cause, this.remote);
    } finally {
      this.#writing = false;
    }
  }

  get writeFile(): ((region: FileRegion, at: number) => Promise<number>) | undefined {
    return this.#native ? (region, at) => this.#writeFile(region, at) : undefined;
  }

  async #writeFile({ descriptor, offset, length }: FileRegion, at: number): Promise<number> {
    this.#writing = true;
    try {
      return await this.#native?.sendFile(descriptor, offset + at, length - at) ?? 0;
    } catch (cause) {
      throw new FshError("CONNECTION_RESET", { subject: this.remote, cause });
    } finally {
      this.#writing = false;
    }
  }

  isGone(): boolean {
    return !this.#closed && this.#native?.isGone() === true;
  }

  cork(on: boolean): void {
    if (!this.#closed) this.#native?.cork(on);
  }

  async closeWrite(): Promise<void> {
    try {
      await this.#socket.closeWrite();
    } catch (cause) {
      // Already gone: there is nothing left to say it to.
      if (cause instanceof Deno.errors.NotConnected || cause instanceof Deno.errors.BadResource) return;
      throw connectionError(cause, this.remote);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The runtime's close does not end a write that waits for room.
    if (this.#writing) this.#native?.shutdown();
    this.#native?.release();
    this.#socket.close();
  }

  abort(): void {
    if (this.#closed) return;
    this.#native?.reset();
    this.close();
  }
}
