import type { Connection, ConnectOptions, Listener, ListenOptions, Transport } from "./transport.ts";

/**
 * A transport that listens already. So a server takes its port, and a transport its key files, while the process may do
 * that; what comes in meanwhile waits in the system's queue until the server accepts.
 */
export class BoundTransport implements Transport, Disposable {
  readonly listener: Listener;
  readonly #transport: Transport;

  private constructor(transport: Transport, listener: Listener) {
    this.#transport = transport;
    this.listener = listener;
  }

  /** @throws {FshError} as `listen` of the transport */
  static async bind(transport: Transport, options: ListenOptions): Promise<BoundTransport> {
    const { hostname, port, reusePort = false } = options;
    return new BoundTransport(transport, await transport.listen({ hostname, port, reusePort }));
  }

  get scheme(): string {
    return this.#transport.scheme;
  }

  connect(options: ConnectOptions): Promise<Connection> {
    return this.#transport.connect(options);
  }

  /** The one listener, whatever is asked for. */
  listen(): Promise<Listener> {
    return Promise.resolve(this.listener);
  }

  [Symbol.dispose](): void {
    this.listener.close();
  }
}
