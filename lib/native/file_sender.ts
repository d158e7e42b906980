import { EAGAIN, ECONNRESET, errno, type Libc, systemError } from "./libc.ts";
import type { SocketRoom } from "./linux_room.ts";

/** Sends files to one socket, by a descriptor of its own: the runtime may close the other one while a call is under way. */
export class FileSender {
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
