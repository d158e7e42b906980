import type { KeepAlive } from "../native/native.ts";
import { dial } from "./dial.ts";
import { DEFAULT_KEEPALIVE, SocketConnection } from "./socket_connection.ts";
import { connectionError, listenError } from "./socket_error.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";

/** FSH/1 as it is, over TCP. */
export class TcpTransport implements Transport {
  readonly scheme = "fsh";
  readonly #keepAlive: KeepAlive;

  constructor(keepAlive: KeepAlive = DEFAULT_KEEPALIVE) {
    this.#keepAlive = keepAlive;
  }

  /** @throws {FshError} as `dial` */
  async connect(options: ConnectOptions): Promise<Connection> {
    return new SocketConnection(await dial(options), { keepAlive: this.#keepAlive });
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, naming the address */
  // deno-lint-ignore require-await
  async listen(options: ListenOptions): Promise<Listener> {
    try {
      return new TcpListener(Deno.listen({ ...options, transport: "tcp" }), this.#keepAlive);
    } catch (cause) {
      throw listenError(cause, options);
    }
  }
}

class TcpListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #keepAlive: KeepAlive;
  #closed = false;

  constructor(listener: Deno.TcpListener, keepAlive: KeepAlive) {
    this.#listener = listener;
    this.#keepAlive = keepAlive;
    this.hostname = listener.addr.hostname;
    this.port = listener.addr.port;
  }

  async accept(): Promise<Connection> {
    try {
      return new SocketConnection(await this.#listener.accept(), { keepAlive: this.#keepAlive });
    } catch (cause) {
      throw connectionError(cause, formatAddress(this.hostname, this.port));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
  }
}
