import { equalBytes } from "../base/bytes.ts";
import { EAGAIN, ECONNRESET, errno, type Libc, systemError } from "./libc.ts";
import { Lingering } from "./lingering.ts";
import { SocketRoom } from "./linux_room.ts";
import { LinuxSocketOptions } from "./linux_socket_options.ts";
import type { NativeListener, NativeSocket, SocketEnds, Sockets } from "./native.ts";
import type { GrantedOptions, SocketTuning } from "./socket_tuning.ts";
import type { TcpInfo } from "./tcp_info.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64.
const TCP_ESTABLISHED = 1; // netinet/tcp.h
const AF_UNSPEC = 0; // linux/socket.h
const AF_INET = 2;
const SOCK_STREAM = 1; // bits/socket_type.h
const SOCK_CLOEXEC = 0o2000000;
const SHUT_RDWR = 2; // sys/socket.h

export class LinuxSockets implements Sockets {
  readonly #libc: Libc;
  readonly #address = new Uint8Array(128);
  readonly #addressLength = new Uint32Array(1);
  readonly #room: SocketRoom;
  readonly #lingering: Lingering;
  /** Descriptors that were found and not yet released. */
  readonly #known = new Set<number>();

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#room = new SocketRoom(libc);
    this.#lingering = new Lingering(libc);
  }

  /** The runtime does not tell the descriptor, so look for the one with these ends. */
  find(ends: SocketEnds): NativeSocket | null {
    // A new socket mostly has the number just below the next free one.
    const next = this.#libc.dup(0);
    if (next >= 0) this.#libc.close(next);
    for (let fd = next - 1; fd > 2 && fd > next - 8; fd--) if (this.#matches(fd, ends)) return this.#socket(fd);
    // Where connections come and go, it took a gap further down: below `next`, all descriptors are in use.
    for (let fd = 3; fd < next; fd++) if (!this.#known.has(fd) && this.#matches(fd, ends)) return this.#socket(fd);
    try {
      for (const entry of Deno.readDirSync("/proc/self/fd")) {
        const fd = Number(entry.name);
        if (fd > 2 && this.#matches(fd, ends)) return this.#socket(fd);
      }
    } catch {
      // No /proc: the socket stays as the system made it.
    }
    return null;
  }

  trial(tuning: SocketTuning): GrantedOptions | null {
    const fd = this.#libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return null;
    const options = new LinuxSocketOptions(this.#libc, fd);
    options.tune(tuning);
    const granted = options.granted();
    this.#libc.close(fd);
    return granted;
  }

  findListeners(at: SocketEnds["localAddr"]): NativeListener[] {
    const found: NativeListener[] = [];
    const next = this.#libc.dup(0);
    if (next >= 0) this.#libc.close(next);
    // Below the next free number all are in use; a gap further down hides none that has just been opened.
    for (let fd = next - 1; fd > 2; fd--) {
      if (!this.#endIs(this.#libc.getsockname, fd, at)) continue;
      const options = new LinuxSocketOptions(this.#libc, fd);
      if (options.listens()) found.push(new LinuxListener(this.#libc, fd, options));
    }
    return found;
  }

  #socket(fd: number): NativeSocket {
    this.#known.add(fd);
    const forget = () => this.#known.delete(fd);
    return new LinuxSocket(this.#libc, fd, { room: this.#room, lingering: this.#lingering, forget });
  }

  #matches(fd: number, ends: SocketEnds): boolean {
    return this.#endIs(this.#libc.getsockname, fd, ends.localAddr) &&
      this.#endIs(this.#libc.getpeername, fd, ends.remoteAddr);
  }

  #endIs(call: Libc["getsockname"], fd: number, end: SocketEnds["localAddr"]): boolean {
    this.#addressLength[0] = this.#address.length;
    if (call(fd, this.#address, new Uint8Array(this.#addressLength.buffer)) !== 0) return false;
    // struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)): u16 family, u16 port in network order, then the address,
    // in the latter behind a u32.
    const view = new DataView(this.#address.buffer);
    if (view.getUint16(2) !== end.port) return false;
    const bytes = addressBytes(end.hostname);
    const at = view.getUint16(0, true) === AF_INET ? 4 : 8;
    return equalBytes(this.#address.subarray(at, at + bytes.length), bytes);
  }
}

class LinuxListener implements NativeListener {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #options: LinuxSocketOptions;

  constructor(libc: Libc, fd: number, options: LinuxSocketOptions) {
    this.#libc = libc;
    this.#fd = fd;
    this.#options = options;
  }

  tune(tuning: SocketTuning): void {
    this.#options.tuneBuffers(tuning);
    // Listening already, it only changes how many may wait (listen(2)).
    this.#libc.listen(this.#fd, tuning.backlog);
  }

  granted(): GrantedOptions | null {
    return this.#options.granted();
  }
}

/** One socket by its descriptor; it holds nothing but that until a file is sent. */
class LinuxSocket implements NativeSocket {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #room: SocketRoom;
  readonly #lingering: Lingering;
  readonly #forget: () => void;
  #sender: FileSender | null = null;
  #lingers = false;
  #released = false;

  /** `forget`: called when the descriptor may be somebody else's. */
  constructor(
    libc: Libc,
    fd: number,
    options: { readonly room: SocketRoom; readonly lingering: Lingering; readonly forget: () => void },
  ) {
    this.#libc = libc;
    this.#fd = fd;
    this.#room = options.room;
    this.#lingering = options.lingering;
    this.#forget = options.forget;
  }

  /** Made for each use: most connections need it once. */
  get #options(): LinuxSocketOptions {
    return new LinuxSocketOptions(this.#libc, this.#fd);
  }

  tune(tuning: SocketTuning): void {
    this.#lingers = (tuning.linger ?? 0) > 0;
    this.#options.tune(tuning);
  }

  info(): TcpInfo | null {
    return this.#released ? null : this.#options.info();
  }

  granted(): GrantedOptions | null {
    return this.#released ? null : this.#options.granted();
  }

  setCongestionControl(name: string): boolean {
    return this.#options.setCongestionControl(name);
  }

  isGone(): boolean {
    const state = this.#options.state();
    return state !== null && state !== TCP_ESTABLISHED;
  }

  cork(on: boolean): void {
    this.#options.cork(on);
  }

  reset(): void {
    // Dissolves the connection (connect(2)). SO_LINGER would be too late: the runtime sends FIN before it closes.
    const nowhere = new Uint8Array(Uint16Array.of(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0).buffer);
    this.#libc.connect(this.#fd, nowhere, nowhere.length);
  }

  shutdown(): void {
    this.#libc.shutdown(this.#fd, SHUT_RDWR);
  }

  sendFile(file: number, offset: number, length: number): Promise<number> {
    if (this.#released) {
      return Promise.reject(Object.assign(new Error("sendfile: ENOTCONN"), { code: "ENOTCONN" }));
    }
    this.#sender ??= new FileSender(this.#libc, { socket: this.#fd, room: this.#room });
    return this.#sender.send(file, offset, length);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#forget();
    const sent = this.#sender?.release() ?? Promise.resolve();
    if (this.#lingers) this.#lingering.begin(this.#fd, sent);
  }
}

/** Sends files to one socket, by a descriptor of its own: the runtime may close the other one while a call is under way. */
class FileSender {
  readonly #libc: Libc;
  readonly #socket: number;
  #own: number | null = null;
  #busy = false;
  #released = false;
  readonly #closed = Promise.withResolvers<void>();
  readonly #offset = new BigInt64Array(1);
  readonly #room: SocketRoom;

  constructor(libc: Libc, options: { readonly socket: number; readonly room: SocketRoom }) {
    this.#libc = libc;
    this.#socket = options.socket;
    this.#room = options.room;
  }

  async send(file: number, offset: number, length: number): Promise<number> {
    if (this.#released) throw Object.assign(new Error("sendfile: ENOTCONN"), { code: "ENOTCONN" });
    this.#own ??= this.#libc.dup(this.#socket);
    this.#busy = true;
    try {
      for (;;) {
        this.#offset[0] = BigInt(offset);
        const place = new Uint8Array(this.#offset.buffer);
        const sent = Number(this.#libc.sendfile(this.#own, file, place, BigInt(length)));
        if (sent >= 0) return sent;
        const number = errno(this.#libc);
        if (number !== EAGAIN) throw systemError("sendfile", number);
        await this.#room.wait(this.#own);
        if (this.#released) throw systemError("sendfile", ECONNRESET);
      }
    } finally {
      this.#busy = false;
      if (this.#released) this.#close();
    }
  }

  /** Resolves once its descriptor is closed. */
  release(): Promise<void> {
    this.#released = true;
    if (!this.#busy) this.#close();
    return this.#closed.promise;
  }

  #close(): void {
    if (this.#own !== null) this.#libc.close(this.#own);
    this.#own = null;
    this.#closed.resolve();
  }
}

/** The bytes of a numeric IPv4 or IPv6 address, the latter as RFC 4291, section 2.2, writes it. */
function addressBytes(address: string): Uint8Array {
  const dotted = /[0-9]+(?:\.[0-9]+){3}$/.exec(address)?.[0];
  const four = dotted?.split(".").map(Number) ?? [];
  if (!address.includes(":")) return Uint8Array.from(four);
  const text = dotted ? address.slice(0, -dotted.length).replace(/([^:]):$/, "$1") : address.replace(/%.*$/, "");
  const groups = (part: string | undefined) =>
    (part ?? "").split(":").filter((group) => group !== "").flatMap((group) => {
      const value = parseInt(group, 16);
      return [value >> 8, value & 0xff];
    });
  const [before, after] = text.split("::");
  const [head, tail] = [groups(before), [...groups(after), ...four]];
  return Uint8Array.from([...head, ...new Array(Math.max(0, 16 - head.length - tail.length)).fill(0), ...tail]);
}
