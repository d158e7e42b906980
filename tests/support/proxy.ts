/** What a proxy does to the bytes that pass. */
export interface ProxyOptions {
  /** Bytes per second and direction; none: as fast as it goes. */
  readonly rate?: number;
  /** Milliseconds that every byte takes longer each way. */
  readonly delay?: number;
  /** Sees, and may change, each piece; `at` is its place in the stream. */
  readonly change?: (piece: Uint8Array, at: number, towards: "client" | "server") => void;
  /** Closes both connections once this many bytes have gone in one direction. */
  readonly cutAfter?: number;
}

/** A TCP relay on loopback that is slow, far away, faulty or short-lived. */
export class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #options: ProxyOptions;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #work: Promise<void>[] = [];
  /** Bytes that have passed towards each side, over all connections. */
  readonly passed = { client: 0, server: 0 };

  constructor(target: number, options: ProxyOptions = {}) {
    this.#target = target;
    this.#options = options;
    this.#work.push(this.#accept());
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get url(): string {
    return `fsh://127.0.0.1:${this.port}/`;
  }

  /** Cuts every connection that passes now. */
  cut(): void {
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // It is gone already.
      }
    }
    this.#connections.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    try {
      for await (const near of this.#listener) {
        const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#target }).catch(() => null);
        // Nobody is there: so it looks from the other side, too.
        if (far === null) {
          near.close();
          continue;
        }
        near.setNoDelay(true);
        far.setNoDelay(true);
        this.#connections.add(near).add(far);
        this.#work.push(this.#relay(near, far, "server"), this.#relay(far, near, "client"));
      }
    } catch {
      // Closed.
    }
  }

  async #relay(from: Deno.TcpConn, to: Deno.TcpConn, towards: "client" | "server"): Promise<void> {
    const { rate, delay = 0, change, cutAfter = Infinity } = this.#options;
    /** Pieces on their way, each with the time at which it arrives: what is under way is not bounded by the delay. */
    let tail = Promise.resolve();
    let under = 0;
    let at = 0;
    try {
      for (;;) {
        const buffer = new Uint8Array(rate ? Math.max(1024, rate / 50) : 256 * 1024);
        const read = await from.read(buffer);
        if (read === null) break;
        const piece = buffer.subarray(0, read);
        change?.(piece, at, towards);
        at += read;
        this.passed[towards] += read;
        if (rate) await pause(1000 * read / rate);
        const due = performance.now() + delay;
        under += read;
        tail = tail.then(async () => {
          // A timer takes a millisecond; a piece that is due already must not wait for one.
          if (due > performance.now()) await pause(due - performance.now());
          for (let sent = 0; sent < piece.length;) sent += await to.write(piece.subarray(sent));
          under -= read;
        });
        tail.catch(() => {});
        // As much as a link of that length may hold.
        while (under > 64 * 1024 * 1024) await pause(1);
        if (delay === 0) await tail;
        if (at >= cutAfter) return this.cut();
      }
      await tail;
      await to.closeWrite();
    } catch {
      for (const connection of [from, to]) {
        try {
          connection.close();
        } catch {
          // Cut.
        }
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
