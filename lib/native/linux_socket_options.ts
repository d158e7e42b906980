import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Libc } from "./libc.ts";
import type { GrantedOptions, KeepAlive, SocketTuning } from "./socket_tuning.ts";
import { parseTcpInfo, TCP_INFO_SIZE, type TcpInfo } from "./tcp_info.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64.
const IPPROTO_TCP = 6; // netinet/in.h
const SOL_SOCKET = 1; // asm-generic/socket.h
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const SO_ACCEPTCONN = 30;
const SO_COOKIE = 57;
const TCP_NODELAY = 1; // netinet/tcp.h
const TCP_CORK = 3;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_USER_TIMEOUT = 18;

/** The options of one socket, by its descriptor. What can't be set, as the socket is gone, is not set. */
export class LinuxSocketOptions {
  readonly #libc: Libc;
  readonly #fd: number;

  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
  }

  /** All that a tuning asks of a connection. */
  tune(tuning: SocketTuning): void {
    const { linger, userTimeout } = tuning;
    this.tuneBuffers(tuning);
    this.set(IPPROTO_TCP, TCP_NODELAY, tuning.noDelay === "off" ? 0 : 1);
    this.setKeepAlive(tuning.keepAlive);
    if (userTimeout !== null) this.set(IPPROTO_TCP, TCP_USER_TIMEOUT, userTimeout);
    if (linger !== null) this.setLinger(linger);
  }

  /** Those that a listening socket hands down to what it accepts, in time for the first window that is offered. */
  tuneBuffers({ sendBuffer, receiveBuffer }: SocketTuning): void {
    if (sendBuffer !== null) this.set(SOL_SOCKET, SO_SNDBUF, sendBuffer);
    if (receiveBuffer !== null) this.set(SOL_SOCKET, SO_RCVBUF, receiveBuffer);
  }

  setKeepAlive(keepAlive: KeepAlive | "system" | "off"): boolean {
    const on = this.set(SOL_SOCKET, SO_KEEPALIVE, keepAlive === "off" ? 0 : 1);
    if (typeof keepAlive === "string") return on;
    const { idle, interval, count } = keepAlive;
    return on && this.set(IPPROTO_TCP, TCP_KEEPIDLE, idle) && this.set(IPPROTO_TCP, TCP_KEEPINTVL, interval) &&
      this.set(IPPROTO_TCP, TCP_KEEPCNT, count);
  }

  /** Seconds; null: off. */
  setLinger(seconds: number | null): void {
    // struct linger (socket(7)): int l_onoff, int l_linger.
    const value = Int32Array.of(seconds === null ? 0 : 1, seconds ?? 0);
    this.#setBytes(SOL_SOCKET, SO_LINGER, new Uint8Array(value.buffer));
  }

  linger(): number | null {
    const bytes = this.#getBytes(SOL_SOCKET, SO_LINGER, 8);
    const [on = 0, seconds = 0] = bytes ? new Int32Array(bytes.buffer) : [];
    return on === 0 ? null : seconds;
  }

  /** A number that no other socket has had since the system started; null: there is no socket. */
  cookie(): bigint | null {
    const bytes = this.#getBytes(SOL_SOCKET, SO_COOKIE, 8);
    return bytes && new DataView(bytes.buffer).getBigUint64(0, true);
  }

  setCongestionControl(name: string): boolean {
    return this.#setBytes(IPPROTO_TCP, TCP_CONGESTION, encodeUtf8(name));
  }

  cork(on: boolean): void {
    this.set(IPPROTO_TCP, TCP_CORK, on ? 1 : 0);
  }

  listens(): boolean {
    return this.#get(SOL_SOCKET, SO_ACCEPTCONN) !== 0;
  }

  /** Null where the socket is gone, or the kernel is older than Linux 5.4. */
  info(): TcpInfo | null {
    const bytes = this.#getBytes(IPPROTO_TCP, TCP_INFO, TCP_INFO_SIZE);
    return bytes && parseTcpInfo(bytes);
  }

  /** The state's number, the first byte of TCP_INFO; null where the socket is gone. */
  state(): number | null {
    return this.#getBytes(IPPROTO_TCP, TCP_INFO, 4)?.[0] ?? null;
  }

  /** Null where the socket is gone. */
  granted(): GrantedOptions | null {
    const congestion = this.#getBytes(IPPROTO_TCP, TCP_CONGESTION, 16); // TCP_CA_NAME_MAX
    if (!congestion) return null;
    const tcp = (option: number) => this.#get(IPPROTO_TCP, option);
    const info = this.info();
    return {
      keepAlive: {
        on: this.#get(SOL_SOCKET, SO_KEEPALIVE) !== 0,
        idle: tcp(TCP_KEEPIDLE),
        interval: tcp(TCP_KEEPINTVL),
        count: tcp(TCP_KEEPCNT),
      },
      sendBuffer: this.#get(SOL_SOCKET, SO_SNDBUF),
      receiveBuffer: this.#get(SOL_SOCKET, SO_RCVBUF),
      noDelay: tcp(TCP_NODELAY) !== 0,
      cork: tcp(TCP_CORK) !== 0,
      linger: this.linger(),
      userTimeout: tcp(TCP_USER_TIMEOUT) || null,
      congestion: decodeUtf8(congestion.subarray(0, congestion.indexOf(0))),
      backlog: info?.state === "LISTEN" ? info.sacked : null,
    };
  }

  set(level: number, option: number, value: number): boolean {
    return this.#setBytes(level, option, new Uint8Array(Int32Array.of(value).buffer));
  }

  #setBytes(level: number, option: number, value: Uint8Array<ArrayBuffer>): boolean {
    return this.#libc.setsockopt(this.#fd, level, option, value, value.length) === 0;
  }

  #get(level: number, option: number): number {
    const bytes = this.#getBytes(level, option, 4);
    return bytes ? new DataView(bytes.buffer).getInt32(0, true) : 0;
  }

  /** As many bytes as the kernel gave; null where it refused. */
  #getBytes(level: number, option: number, size: number): Uint8Array<ArrayBuffer> | null {
    const value = new Uint8Array(size);
    const length = Uint32Array.of(size);
    const failed = this.#libc.getsockopt(this.#fd, level, option, value, new Uint8Array(length.buffer)) !== 0;
    return failed ? null : value.subarray(0, length[0]);
  }
}
