import { decodeUtf8 } from "../base/bytes.ts";
import type { Libc } from "./libc.ts";
import type { LocalPeer, LocalPeers } from "./native.ts";

// Values of Linux's generic headers; the same on x86-64 and arm64.
const SOL_SOCKET = 1; // asm-generic/socket.h
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const AF_UNIX = 1; // linux/socket.h

/** Finds out who connects to Unix sockets. The runtime does not tell the descriptor, so it is looked for by its path. */
export class LinuxPeers implements LocalPeers {
  readonly #libc: Libc;
  /** Descriptors that were answered and not yet released. */
  readonly #known = new Set<number>();

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  newest(path: string): { readonly peer: LocalPeer; release(): void } | null {
    try {
      for (const entry of Deno.readDirSync("/proc/self/fd")) {
        const fd = Number(entry.name);
        if (this.#known.has(fd) || this.#pathOf(fd) !== path || this.#isListener(fd)) continue;
        const peer = this.#peerOf(fd);
        if (!peer) continue;
        this.#known.add(fd);
        return { peer, release: () => void this.#known.delete(fd) };
      }
    } catch {
      // No /proc, or none of it for us: the mode of the socket has to do.
    }
    return null;
  }

  /** Of struct sockaddr_un (unix(7)): u16 family, then the path, NUL-terminated. */
  #pathOf(fd: number): string | null {
    const address = new Uint8Array(128);
    const length = Uint32Array.of(address.length);
    if (this.#libc.getsockname(fd, address, new Uint8Array(length.buffer)) !== 0) return null;
    if (new DataView(address.buffer).getUint16(0, true) !== AF_UNIX) return null;
    const end = address.indexOf(0, 2);
    return decodeUtf8(address.subarray(2, end < 0 ? undefined : end));
  }

  #isListener(fd: number): boolean {
    return this.#option(fd, SO_ACCEPTCONN, 4)?.getInt32(0, true) === 1;
  }

  /** Of struct ucred (unix(7)): pid, uid, gid, 32 bits each. */
  #peerOf(fd: number): LocalPeer | null {
    const ucred = this.#option(fd, SO_PEERCRED, 12);
    return ucred ? { pid: ucred.getInt32(0, true), uid: ucred.getUint32(4, true) } : null;
  }

  #option(fd: number, name: number, bytes: number): DataView | null {
    const value = new Uint8Array(bytes);
    const length = new Uint8Array(Uint32Array.of(bytes).buffer);
    const failed = this.#libc.getsockopt(fd, SOL_SOCKET, name, value, length) !== 0;
    return failed ? null : new DataView(value.buffer);
  }
}
