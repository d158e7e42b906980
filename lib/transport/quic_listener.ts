import { Certificate } from "../base/certificate.ts";
import { FshError } from "../base/errors.ts";
import { QuicConnection } from "./quic_connection.ts";
import { IDLE_SECONDS } from "./quic_error.ts";
import { connectionError, listenError } from "./socket_error.ts";
import { answersTo, type Identity, PROTOCOL } from "./tls.ts";
import { type Connection, formatAddress, type Listener, type ListenOptions } from "./transport.ts";

/**
 * Bytes that the runtime may keep for one connection, whatever its peer does; no option changes that (quinn: 10 MB that
 * were sent and not confirmed, 1.25 MB that came in for each of two streams and for datagrams).
 */
const KEPT = 14 * 1024 ** 2;

/** How many connections may take half of so much memory, in bytes: this half is needed besides. */
export function mostByQuic(memory: number): number {
  return Math.max(8, Math.floor(memory / 2 / KEPT));
}

/** Bytes that QUIC may take at the most, beside the memory that it goes by. */
export function memoryOfQuic(memory: number): number {
  return mostByQuic(memory) * KEPT;
}

export interface QuicListenerOptions {
  readonly identity: Identity;
  /** Connections at once, handshakes among them. */
  readonly most: number;
  readonly closed: () => void;
}

/**
 * Takes connections by QUIC. One is handed out once its handshake is done: before, its address is nothing but a claim, and
 * must not be sent more than it has sent itself (RFC 9000, section 8.1: three times as much at the
 * most). Handshakes count among the connections all the same, until they end or were silent for too long: forged ones can
 * keep others out of QUIC, though not out of TLS.
 */
export class QuicListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #options: QuicListenerOptions;
  readonly #endpoint: Deno.QuicEndpoint;
  /** The last one listens. The runtime stops listening when it collects any of the others, so they are kept. */
  readonly #listeners: Deno.QuicListener[] = [];
  readonly #waiting: QuicConnection[] = [];
  #accepting: PromiseWithResolvers<Connection> | null = null;
  #certificate: Certificate;
  /** Connections and handshakes. */
  #here = 0;
  #closed = false;

  constructor(options: ListenOptions, own: QuicListenerOptions) {
    this.#options = own;
    this.#endpoint = bind(options);
    this.#certificate = Certificate.fromPem(own.identity.cert);
    this.hostname = this.#endpoint.addr.hostname;
    this.port = this.#endpoint.addr.port;
    try {
      this.#listeners.push(listen(this.#endpoint, own.identity));
    } catch (error) {
      this.#endpoint.close();
      throw error;
    }
    void this.#takeAll();
  }

  /** New connections meet this certificate. @throws {FshError} CERTIFICATE_UNUSABLE */
  exchange(identity: Identity): void {
    const certificate = Certificate.fromPem(identity.cert);
    this.#listeners.push(listen(this.#endpoint, identity));
    this.#certificate = certificate;
  }

  accept(): Promise<Connection> {
    if (this.#closed) return Promise.reject(this.#gone());
    const waiting = this.#waiting.shift();
    if (waiting) return Promise.resolve(waiting);
    this.#accepting ??= Promise.withResolvers<Connection>();
    return this.#accepting.promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.closed();
    for (const connection of this.#waiting) connection.abort();
    this.#accepting?.reject(this.#gone());
    this.#listeners.at(-1)?.stop();
    this.#endIfLast();
  }

  async #takeAll(): Promise<void> {
    const [first] = this.#listeners;
    while (first && !this.#closed) {
      try {
        // Whichever listens: what comes in is the endpoint's.
        const incoming = await first.incoming();
        if (this.#closed || this.#here >= this.#options.most) incoming.refuse();
        else void this.#take(incoming);
      } catch (cause) {
        if (this.#closed) return;
        this.#accepting?.reject(connectionError(cause, formatAddress(this.hostname, this.port)));
        this.#accepting = null;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #take(incoming: Deno.QuicIncoming): Promise<void> {
    this.#here++;
    const certificate = this.#certificate;
    try {
      const quic = await incoming.accept();
      const connection = new QuicConnection(quic, {
        local: formatAddress(this.hostname, this.port),
        stream: firstStream(quic),
        answersTo: answersTo(certificate),
        over: () => this.#left(),
      });
      if (this.#closed) return connection.abort();
      this.#offer(connection);
    } catch {
      // Nobody whose name would be of any use: it did not get through the handshake.
      this.#left();
    }
  }

  #offer(connection: QuicConnection): void {
    if (!this.#accepting) return void this.#waiting.push(connection);
    this.#accepting.resolve(connection);
    this.#accepting = null;
  }

  #left(): void {
    this.#here--;
    this.#endIfLast();
  }

  /** The socket goes with the last connection. */
  #endIfLast(): void {
    if (this.#closed && this.#here === 0) this.#endpoint.close();
  }

  #gone(): FshError {
    return new FshError("CONNECTION_LOST", { subject: formatAddress(this.hostname, this.port) });
  }
}

function bind(options: ListenOptions): Deno.QuicEndpoint {
  try {
    return new Deno.QuicEndpoint({ hostname: options.hostname, port: options.port });
  } catch (cause) {
    throw listenError(cause, options);
  }
}

function listen(endpoint: Deno.QuicEndpoint, { cert, key }: Identity): Deno.QuicListener {
  try {
    return endpoint.listen({
      cert,
      key,
      alpnProtocols: [PROTOCOL],
      maxIdleTimeout: IDLE_SECONDS * 1000,
      maxConcurrentBidirectionalStreams: 1,
      maxConcurrentUnidirectionalStreams: 1,
    });
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new FshError("CERTIFICATE_UNUSABLE", { detail, cause });
  }
}

/** The stream that the client opens. */
async function firstStream(quic: Deno.QuicConn): Promise<Deno.QuicBidirectionalStream> {
  const { value } = await quic.incomingBidirectionalStreams.getReader().read();
  if (value) return value;
  throw new Deno.errors.NotConnected("no stream");
}
