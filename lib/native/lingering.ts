import type { Libc } from "./libc.ts";
import { LinuxSocketOptions } from "./linux_socket_options.ts";

/** Sockets that may linger at once: each keeps one of the runtime's threads waiting. */
const MOST = 8;
/** Milliseconds between two looks whether the runtime has closed its descriptor, and how many there are at the most. */
const LOOK = { every: 5, most: 200 };

/**
 * Closes sockets that linger. With SO_LINGER the last close(2) of a socket waits until the peer has taken everything; were
 * that the runtime's own, the whole program would wait. So a second descriptor is closed after it, on another thread.
 */
export class Lingering {
  readonly #libc: Libc;
  #count = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /**
   * To be called right before the runtime closes `fd`. `others` resolves when nothing else has the socket open. Beyond the
   * number that may linger at once, a socket does so in the kernel, as without the option.
   */
  begin(fd: number, others: Promise<void>): void {
    const options = new LinuxSocketOptions(this.#libc, fd);
    const seconds = options.linger();
    if (seconds === null || seconds === 0) return;
    const own = this.#count < MOST ? this.#libc.dup(fd) : -1;
    if (own < 0) return options.setLinger(null);
    this.#count++;
    const cookie = options.cookie();
    const end = async () => {
      await others;
      for (let i = 0; i < LOOK.most && options.cookie() === cookie; i++) {
        await new Promise((resolve) => setTimeout(resolve, LOOK.every));
      }
      await this.#libc.close_aside(own);
      this.#count--;
    };
    void end();
  }
}
