import { isLoopback } from "../base/address.ts";
import { FshError } from "../base/errors.ts";
import { dialBy } from "./dial.ts";
import { QuicConnection } from "./quic_connection.ts";
import { IDLE_SECONDS, quicConnectError } from "./quic_error.ts";
import { QuicListener } from "./quic_listener.ts";
import { type Anchor, BY_NAME, type Identity, PROTOCOL } from "./tls.ts";
import type { Connection, ConnectOptions, Listener, ListenOptions, Transport } from "./transport.ts";

/** Milliseconds of silence after which a client sends a packet: routers forget who is who after 30 s (RFC 9000, 10.1.2). */
const KEEP_ALIVE = 10_000;

export interface QuicTransportOptions {
  /** What listening needs. */
  readonly identity?: Identity;
  /** Whom connecting trusts. */
  readonly anchor?: Anchor;
  /** Connections at once, handshakes among them; what the runtime keeps for one can't be set. Default: 1,000. */
  readonly most?: number;
}

/** FSH/1 over QUIC (RFC 9000), which is always encrypted, over UDP. */
export class QuicTransport implements Transport {
  readonly scheme = "fshq";
  readonly #anchor: Anchor;
  readonly #most: number;
  readonly #listeners = new Set<QuicListener>();
  #identity: Identity | undefined;

  constructor(options: QuicTransportOptions = {}) {
    this.#identity = options.identity;
    this.#anchor = options.anchor ?? {};
    this.#most = options.most ?? 1000;
  }

  /**
   * @throws {FshError} CONNECT_TIMEOUT (nobody there included, which UDP does not tell), UNKNOWN_HOST, UNREACHABLE, REFUSED,
   * TLS_FAILED, CERTIFICATE_UNKNOWN, CERTIFICATE_EXPIRED, CERTIFICATE_NAME, CERTIFICATE_UNUSABLE, QUIC_MISSING
   */
  async connect(options: ConnectOptions): Promise<Connection> {
    requireQuic();
    const { hostname: name = options.hostname, certificates = [], peerName = `${BY_NAME}${name}` } = this.#anchor;
    const connect = async ({ hostname, port }: { readonly hostname: string; readonly port: number }) => {
      const endpoint = endpointFor(hostname);
      const connection = await Deno.connectQuic({
        hostname: hostname.replace(/%.*$/, ""),
        port,
        endpoint,
        serverName: name.replace(/%.*$/, ""),
        caCerts: [...certificates],
        alpnProtocols: [PROTOCOL],
        keepAliveInterval: KEEP_ALIVE,
        maxIdleTimeout: IDLE_SECONDS * 1000,
        maxConcurrentBidirectionalStreams: 0,
        maxConcurrentUnidirectionalStreams: 1,
      });
      const { hostname: address, port: own } = endpoint.addr;
      return new QuicConnection(connection, {
        local: address.includes(":") ? `[${address}]:${own}` : `${address}:${own}`,
        stream: connection.createBidirectionalStream(),
        peerName,
      });
    };
    const hint = "is a server with --quic running there, and does UDP get through?";
    return await dialBy({ connect, failure: quicConnectError, hint }, options);
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, CERTIFICATE_UNUSABLE, QUIC_MISSING */
  // deno-lint-ignore require-await
  async listen(options: ListenOptions): Promise<Listener> {
    requireQuic();
    if (!this.#identity) throw new FshError("CERTIFICATE_UNUSABLE", { detail: "a server needs one" });
    const listener = new QuicListener(options, {
      identity: this.#identity,
      most: this.#most,
      closed: () => this.#listeners.delete(listener),
    });
    this.#listeners.add(listener);
    return listener;
  }

  /**
   * From now on new connections meet this certificate; those that are there stay.
   *
   * @throws {FshError} CERTIFICATE_UNUSABLE, and then nothing has changed
   */
  exchange(identity: Identity): void {
    for (const listener of this.#listeners) listener.exchange(identity);
    this.#identity = identity;
  }
}

/** One socket for all connections of this process to addresses of a kind: the runtime gives none back. */
const endpoints = new Map<string, Deno.QuicEndpoint>();

function endpointFor(address: string): Deno.QuicEndpoint {
  const own = isLoopback(address)
    ? (address.includes(":") ? "::1" : "127.0.0.1")
    : address.includes(":")
    ? "::"
    : "0.0.0.0";
  const known = endpoints.get(own);
  if (known) return known;
  const endpoint = new Deno.QuicEndpoint({ hostname: own, port: 0 });
  endpoints.set(own, endpoint);
  return endpoint;
}

function requireQuic(): void {
  if (typeof Deno.QuicEndpoint === "function") return;
  throw new FshError("QUIC_MISSING", { detail: "run Deno with --unstable-net" });
}
