import { FshError, isError } from "../base/errors.ts";
import type { GrantedOptions } from "../native/socket_tuning.ts";
import type { QuicTransport } from "./quic.ts";
import type { Identity, TlsTransport } from "./tls.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";

/** Ports tried where any will do: one that is free for TCP may be taken for UDP. */
const TRIES = 20;

/** TLS over TCP, and QUIC over UDP at the port of the same number, by one certificate. */
export class JoinedTransport implements Transport {
  readonly scheme: string;
  readonly #tls: TlsTransport;
  readonly #quic: QuicTransport;

  constructor(tls: TlsTransport, quic: QuicTransport) {
    this.scheme = tls.scheme;
    this.#tls = tls;
    this.#quic = quic;
  }

  /** Over TLS. */
  connect(options: ConnectOptions): Promise<Connection> {
    return this.#tls.connect(options);
  }

  /** @throws {FshError} as `listen` of either */
  async listen(options: ListenOptions): Promise<Listener> {
    for (let left = TRIES;; left--) {
      const first = await this.#tls.listen(options);
      const { hostname, port } = first;
      try {
        return new JoinedListener(first, await this.#quic.listen({ hostname, port }));
      } catch (error) {
        first.close();
        if (options.port !== 0 || left === 1 || !isError(error, "ADDRESS_IN_USE")) throw error;
      }
    }
  }

  /**
   * From now on new connections meet this certificate; those that are there stay.
   *
   * @throws {FshError} CERTIFICATE_UNUSABLE, and then nothing has changed
   */
  async exchange(identity: Identity): Promise<void> {
    await this.#tls.exchange(identity);
    this.#quic.exchange(identity);
  }
}

/** Several listeners as one, which says of itself what the first one does. */
class JoinedListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #listeners: readonly Listener[];
  /** What came while nobody asked: one of each listener at the most. */
  readonly #waiting: { readonly connection: Connection; readonly taken: () => void }[] = [];
  #accepting: PromiseWithResolvers<Connection> | null = null;
  #begun = false;
  #closed = false;

  constructor(...listeners: readonly [Listener, ...Listener[]]) {
    this.#listeners = listeners;
    this.hostname = listeners[0].hostname;
    this.port = listeners[0].port;
  }

  accept(): Promise<Connection> {
    if (this.#closed) return Promise.reject(this.#gone());
    if (!this.#begun) {
      this.#begun = true;
      for (const listener of this.#listeners) void this.#takeFrom(listener);
    }
    const waiting = this.#waiting.shift();
    waiting?.taken();
    if (waiting) return Promise.resolve(waiting.connection);
    this.#accepting ??= Promise.withResolvers<Connection>();
    return this.#accepting.promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { connection, taken } of this.#waiting) {
      connection.abort();
      taken();
    }
    for (const listener of this.#listeners) listener.close();
    this.#accepting?.reject(this.#gone());
  }

  inspect(): GrantedOptions | null {
    return this.#listeners[0]?.inspect?.() ?? null;
  }

  async #takeFrom(listener: Listener): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#offer(await listener.accept());
      } catch (error) {
        if (this.#closed) return;
        // Whoever asks pauses before it asks again.
        this.#accepting?.reject(error);
        this.#accepting = null;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #offer(connection: Connection): Promise<void> {
    if (this.#closed) return connection.abort();
    if (this.#accepting) {
      this.#accepting.resolve(connection);
      this.#accepting = null;
      return;
    }
    await new Promise<void>((taken) => this.#waiting.push({ connection, taken }));
  }

  #gone(): FshError {
    return new FshError("CONNECTION_LOST", { subject: formatAddress(this.hostname, this.port) });
  }
}
