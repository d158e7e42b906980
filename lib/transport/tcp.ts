import type { GrantedOptions, SocketTuning } from "../native/socket_tuning.ts";
import { dial } from "./dial.ts";
import { grantedAt, tuneListener } from "./listening.ts";
import { SocketConnection } from "./socket_connection.ts";
import { acceptError, listenError } from "./socket_error.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";
import { DEFAULT_TUNING } from "./tuning.ts";

/** FSH/1 as it is, over TCP. */
export class TcpTransport implements Transport {
  readonly scheme = "fsh";
  readonly #tuning: SocketTuning;

  constructor(tuning: SocketTuning = DEFAULT_TUNING) {
    this.#tuning = tuning;
  }

  /** @throws {FshError} as `dial` */
  async connect(options: ConnectOptions): Promise<Connection> {
    return new SocketConnection(await dial(options), { tuning: this.#tuning });
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, naming the address */
  // deno-lint-ignore require-await
  async listen(options: ListenOptions): Promise<Listener> {
    try {
      return new TcpListener(Deno.listen({ ...options, transport: "tcp" }), this.#tuning);
    } catch (cause) {
      throw listenError(cause, options);
    }
  }
}

class TcpListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #tuning: SocketTuning;
  #closed = false;

  constructor(listener: Deno.TcpListener, tuning: SocketTuning) {
    this.#listener = listener;
    this.#tuning = tuning;
    tuneListener(listener.addr, tuning);
    this.hostname = listener.addr.hostname;
    this.port = listener.addr.port;
  }

  async accept(): Promise<Connection> {
    try {
      return new SocketConnection(await this.#listener.accept(), { tuning: this.#tuning });
    } catch (cause) {
      throw acceptError(cause, formatAddress(this.hostname, this.port));
    }
  }

  inspect(): GrantedOptions | null {
    return this.#closed ? null : grantedAt(this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
  }
}
