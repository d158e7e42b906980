/** What is called of the C library; each function is described in its manual page. */
const libc = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
}).symbols;

const AF_INET = 2; // linux/socket.h
const SOCK_STREAM_NONBLOCK = 1 | 0o4000; // bits/socket_type.h
const SOL_SOCKET = 1; // asm-generic/socket.h
const SO_LINGER = 13;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000; // bits/socket.h
const EAGAIN = 11; // errno.h
const POLLIN = 1; // poll.h
const POLLOUT = 4;
const POLLERR_HUP_NVAL = 0x38;

export interface Ready {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly broken: boolean;
}

/** A connection by system calls alone: hundreds of them cost a process little, and each may have an address of its own. */
export class NativePeer {
  readonly fd: number;

  /** Connects from an address of 127.0.0.0/8, which all belong to the loopback, to 127.0.0.1; does not wait. */
  constructor(port: number, from: readonly [number, number, number, number]) {
    this.fd = libc.socket(AF_INET, SOCK_STREAM_NONBLOCK, 0);
    if (this.fd < 0) throw new Error(`socket: ${errno()}`);
    libc.bind(this.fd, address(from, 0), 16);
    libc.connect(this.fd, address([127, 0, 0, 1], port), 16);
  }

  /** How many bytes went: 0 where there is no room, null where the connection is gone. */
  send(bytes: Uint8Array): number | null {
    const sent = Number(libc.send(this.fd, new Uint8Array(bytes), BigInt(bytes.length), MSG_DONTWAIT_NOSIGNAL));
    return sent >= 0 ? sent : errno() === EAGAIN ? 0 : null;
  }

  /** How many bytes came: 0 where there are none, null where the connection is gone. */
  receive(into: Uint8Array<ArrayBuffer>): number | null {
    const got = Number(libc.recv(this.fd, into, BigInt(into.length), MSG_DONTWAIT_NOSIGNAL));
    return got > 0 ? got : got < 0 && errno() === EAGAIN ? 0 : null;
  }

  /** Gone, with a reset: nothing of it stays on this side (socket(7): SO_LINGER of zero seconds). */
  close(): void {
    libc.setsockopt(this.fd, SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer), 8);
    libc.close(this.fd);
  }
}

/** Waits up to `ms` milliseconds for any of the peers; tells `ready` of those that are. */
export function pollAll<T>(
  items: readonly { readonly item: T; readonly fd: number; readonly reads: boolean; readonly writes: boolean }[],
  ms: number,
  ready: (item: T, what: Ready) => void,
): void {
  // struct pollfd (poll(2)): i32 descriptor, i16 events, i16 revents.
  const fds = new Int32Array(items.length * 2);
  const events = new Int16Array(fds.buffer);
  for (const [at, { fd, reads, writes }] of items.entries()) {
    fds[at * 2] = fd;
    events[at * 4 + 2] = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
  }
  libc.poll(new Uint8Array(fds.buffer), BigInt(items.length), ms);
  for (const [at, { item }] of items.entries()) {
    const found = events[at * 4 + 3] ?? 0;
    if (found === 0) continue;
    ready(item, {
      readable: (found & POLLIN) !== 0,
      writable: (found & POLLOUT) !== 0,
      broken: (found & POLLERR_HUP_NVAL) !== 0,
    });
  }
}

function errno(): number {
  const place = libc.__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}

/** struct sockaddr_in (ip(7)): u16 family, u16 port in network order, four bytes of address. */
function address(host: readonly [number, number, number, number], port: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(AF_INET, 0, port >> 8, port & 0xff, ...host, 0, 0, 0, 0, 0, 0, 0, 0);
}
