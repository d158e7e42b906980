import type { FileRegion } from "../base/file_region.ts";
import type { FshError } from "../base/errors.ts";
import { isLoopback } from "../base/address.ts";
import { native } from "../native/load.ts";
import type { NativeSocket } from "../native/native.ts";
import type { SocketTuning } from "../native/socket_tuning.ts";
import { brokenError, sendFileError } from "./socket_error.ts";
import { type Connection, formatAddress, type SocketReport } from "./transport.ts";
import { TurnCork } from "./turn_cork.ts";

/**
 * Within one machine there is no congestion to control, and where the system's choice paces what it sends (BBR), its
 * timers cost more than the transfer. This one is built into every Linux kernel and open to every user.
 */
const UNPACED = "reno";

export interface SocketOptions {
  readonly tuning: SocketTuning;
  /** Set where TLS is spoken over the socket. */
  readonly tls?: {
    /** Resolves once the handshake is done, before which nothing is read or written; rejects with an FshError. */
    readonly ready: Promise<void> | null;
    /** What went wrong, as an FshError about `subject`. */
    readonly failure: (cause: unknown, subject: string) => FshError;
    /** See `Connection`. */
    readonly peerName?: string | undefined;
    readonly answersTo?: (name: string) => boolean;
  };
}

/** A TCP connection, with or without TLS over it. */
export class SocketConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly secure: boolean | undefined;
  readonly peerName: string | undefined;
  readonly answersTo?: (name: string) => boolean;
  readonly #socket: Deno.TcpConn | Deno.TlsConn;
  readonly #failure: (cause: unknown, subject: string) => FshError;
  #ready: Promise<void> | null;
  #native: NativeSocket | null = null;
  #cork: TurnCork | null = null;
  #writing = false;
  #closed = false;

  constructor(socket: Deno.TcpConn | Deno.TlsConn, { tuning, tls }: SocketOptions) {
    this.#socket = socket;
    this.#ready = tls?.ready ?? null;
    this.#failure = tls?.failure ?? brokenError;
    this.secure = tls ? true : undefined;
    this.peerName = tls?.peerName;
    if (tls?.answersTo) this.answersTo = tls.answersTo;
    const { localAddr, remoteAddr } = socket;
    this.local = formatAddress(localAddr.hostname, localAddr.port);
    this.remote = formatAddress(remoteAddr.hostname, remoteAddr.port);
    try {
      this.#native = native().sockets?.find({ localAddr, remoteAddr }) ?? null;
      this.#native?.tune(tuning);
      if (this.#native && tuning.noDelay === "cork") this.#cork = new TurnCork(this.#native, () => this.#closed);
      // Where TLS is spoken the runtime does not offer these two.
      if (!this.#native && "setNoDelay" in socket) tuneByRuntime(socket, tuning);
      if (isLoopback(remoteAddr.hostname)) this.#native?.setCongestionControl(UNPACED);
    } catch {
      // The peer is gone already; the first read says so.
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#ready) await this.#handshake(this.#ready);
    try {
      return await this.#socket.read(buffer);
    } catch (cause) {
      throw this.#failure(cause, this.remote);
    }
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#ready) await this.#handshake(this.#ready);
    this.#writing = true;
    this.#cork?.writing();
    try {
      return await this.#socket.write(bytes);
    } catch (cause) {
      throw this.#failure(cause, this.remote);
    } finally {
      this.#writing = false;
    }
  }

  async #handshake(ready: Promise<void>): Promise<void> {
    await ready;
    this.#ready = null;
  }

  /** Not through TLS: the system would send the bytes as they are. */
  get writeFile(): ((region: FileRegion, at: number) => Promise<number>) | undefined {
    return this.#native && !this.secure ? (region, at) => this.#writeFile(region, at) : undefined;
  }

  async #writeFile({ descriptor, offset, length }: FileRegion, at: number): Promise<number> {
    this.#writing = true;
    try {
      return await this.#native?.sendFile(descriptor, offset + at, length - at) ?? 0;
    } catch (cause) {
      throw sendFileError(cause, this.remote);
    } finally {
      this.#writing = false;
    }
  }

  inspect(): SocketReport | null {
    const granted = this.#native?.granted();
    const info = this.#native?.info();
    return granted && info ? { granted, info } : null;
  }

  isGone(): boolean {
    return !this.#closed && this.#native?.isGone() === true;
  }

  cork(on: boolean): void {
    if (this.#closed) return;
    if (this.#cork) this.#cork.hold(on);
    else this.#native?.cork(on);
  }

  async closeWrite(): Promise<void> {
    try {
      if (this.#ready) await this.#handshake(this.#ready);
      await this.#socket.closeWrite();
    } catch (cause) {
      // Already gone: there is nothing left to say it to.
      if (this.#ready || cause instanceof Deno.errors.NotConnected || cause instanceof Deno.errors.BadResource) return;
      throw this.#failure(cause, this.remote);
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

/** As far as the runtime goes. */
export function tuneByRuntime(socket: Deno.TcpConn, { noDelay, keepAlive }: SocketTuning): void {
  socket.setNoDelay(noDelay !== "off");
  socket.setKeepAlive(keepAlive !== "off");
}
