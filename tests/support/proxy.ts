import { quicEnds, SCHEME } from "./scheme.ts";

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

/** What the relay needs of a connection. */
interface End {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  abort?(): void;
}

/** A relay of TCP, or of the scheme that the tests use, on loopback that is slow, far away, faulty or short-lived. */
export class Proxy implements AsyncDisposable {
  readonly #overQuic = quicEnds?.listen();
  readonly #overTcp = this.#overQuic ? null : Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #options: ProxyOptions;
  readonly #connections = new Set<End>();
  readonly #work: Promise<void>[] = [];
  /** Bytes that have passed towards each side, over all connections. */
  readonly passed = { client: 0, server: 0 };

  constructor(target: number, options: ProxyOptions = {}) {
    this.#target = target;
    this.#options = options;
    this.#work.push(this.#accept());
  }

  get port(): number {
    return this.#overQuic?.port ?? this.#overTcp?.addr.port ?? 0;
  }

  get url(): string {
    return `${SCHEME}://127.0.0.1:${this.port}/`;
  }

  /** Cuts every connection that passes now. */
  cut(): void {
    for (const connection of this.#connections) cut(connection);
    this.#connections.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#overTcp?.close();
    this.#overQuic?.close();
    this.cut();
    await Promise.all(this.#work);
    await quicEnds?.settled();
  }

  async #accept(): Promise<void> {
    try {
      for (;;) {
        const near = await this.#next();
        const far = await this.#dial().catch(() => null);
        // Nobody is there: so it looks from the other side, too.
        if (far === null) {
          near.close();
          continue;
        }
        this.#connections.add(near).add(far);
        this.#work.push(this.#relay(near, far, "server"), this.#relay(far, near, "client"));
      }
    } catch {
      // Closed.
    }
  }

  async #next(): Promise<End> {
    if (this.#overQuic) return await this.#overQuic.accept();
    const near = await this.#overTcp?.accept();
    if (!near) throw new Error("nothing listens");
    near.setNoDelay(true);
    return near;
  }

  async #dial(): Promise<End> {
    if (quicEnds) return await quicEnds.dial(this.#target);
    const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    far.setNoDelay(true);
    return far;
  }

  async #relay(from: End, to: End, towards: "client" | "server"): Promise<void> {
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
      cut(from);
      cut(to);
    }
  }
}

function cut(connection: End): void {
  try {
    if (connection.abort) connection.abort();
    else connection.close();
  } catch {
    // It is gone already.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
