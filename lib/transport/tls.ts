import { Certificate } from "../base/certificate.ts";
import { FshError, isError } from "../base/errors.ts";
import type { GrantedOptions, SocketTuning } from "../native/socket_tuning.ts";
import { dial } from "./dial.ts";
import { grantedAt, tuneListener } from "./listening.ts";
import { SocketConnection, tuneByRuntime } from "./socket_connection.ts";
import { acceptError, listenError } from "./socket_error.ts";
import { clientHandshakeError, serverHandshakeError, tlsError } from "./tls_error.ts";
import {
  type Connection,
  type ConnectOptions,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Transport,
} from "./transport.ts";
import { DEFAULT_TUNING } from "./tuning.ts";

/** What both sides name in the handshake (ALPN, RFC 7301), so that no other protocol is mistaken for this one. */
export const PROTOCOL = "fsh/1";

const OTHER_PROTOCOL = "it speaks TLS, but not FSH/1 in it";

/** What precedes a name that an authority vouches for, in `Connection.peerName`. */
export const BY_NAME = "dns:";

/** `Connection.answersTo` of a server with this certificate. */
export function answersTo(certificate: Certificate): (name: string) => boolean {
  return (name) =>
    name.startsWith(BY_NAME) ? certificate.isFor(name.slice(BY_NAME.length)) : name === certificate.fingerprint;
}

/** How long to wait for a port that this process has just left, in milliseconds. */
const REOPEN_LIMIT = 2_000;

/** A server's certificate, its chain behind it, and its private key, all in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** Whom a client takes for the server, beside those for whom the system's authorities vouch. */
export interface Anchor {
  /** The name that the certificate must have; by default the host's. */
  readonly hostname?: string;
  /** Self-signed certificates that count as well, in PEM. */
  readonly certificates?: readonly string[];
  /** What the server is told that it is known by (see `Connection.peerName`); by default the name. */
  readonly peerName?: string;
}

export interface TlsOptions {
  /** What listening needs. */
  readonly identity?: Identity;
  /** Whom connecting trusts. */
  readonly anchor?: Anchor;
  /** Milliseconds for the TLS handshake of a connecting side; 0: for ever. Default: 10 s. */
  readonly handshakeTimeout?: number;
  readonly tuning?: SocketTuning;
}

/** FSH/1 over TLS. There is no way from it to plain TCP. */
export class TlsTransport implements Transport {
  readonly scheme = "fshs";
  readonly #anchor: Anchor;
  readonly #handshakeTimeout: number;
  readonly #tuning: SocketTuning;
  readonly #listeners = new Set<TlsListener>();
  #identity: Identity | undefined;

  constructor(options: TlsOptions = {}) {
    this.#identity = options.identity;
    this.#anchor = options.anchor ?? {};
    this.#handshakeTimeout = options.handshakeTimeout ?? 10_000;
    this.#tuning = options.tuning ?? DEFAULT_TUNING;
  }

  /**
   * @throws {FshError} as `dial`; HANDSHAKE_TIMEOUT, CONNECTION_LOST, CONNECTION_RESET, TLS_FAILED, CERTIFICATE_UNKNOWN,
   * CERTIFICATE_EXPIRED, CERTIFICATE_NAME, CERTIFICATE_UNUSABLE, naming host and port
   */
  async connect(options: ConnectOptions): Promise<Connection> {
    const { hostname, port, signal } = options;
    const subject = formatAddress(hostname, port);
    const tcp = await dial(options);
    tuneByRuntime(tcp, this.#tuning);
    const { hostname: name = hostname, certificates = [], peerName = `${BY_NAME}${name}` } = this.#anchor;
    let socket: Deno.TlsConn | undefined;
    const shaking = (async () => {
      socket = await Deno.startTls(tcp, {
        // A zone (RFC 4007) is about this machine, and no part of a name.
        hostname: name.replace(/%.*$/, ""),
        caCerts: [...certificates],
        alpnProtocols: [PROTOCOL],
      });
      const { alpnProtocol } = await socket.handshake();
      if (alpnProtocol !== PROTOCOL) throw new FshError("TLS_FAILED", { subject, detail: OTHER_PROTOCOL });
      return socket;
    })();
    try {
      const shaken = await within(shaking, { limit: this.#handshakeTimeout, subject, signal });
      return new SocketConnection(shaken, {
        tuning: this.#tuning,
        tls: { ready: null, failure: tlsError, peerName },
      });
    } catch (cause) {
      close(socket ?? tcp);
      shaking.catch(() => {}).finally(() => close(socket ?? tcp));
      throw cause instanceof FshError ? cause : clientHandshakeError(cause, subject);
    }
  }

  /** @throws {FshError} ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, CERTIFICATE_UNUSABLE */
  // deno-lint-ignore require-await
  async listen(options: ListenOptions): Promise<Listener> {
    if (!this.#identity) throw new FshError("CERTIFICATE_UNUSABLE", { detail: "a server needs one" });
    const listener = new TlsListener(options, this.#identity, {
      tuning: this.#tuning,
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
  async exchange(identity: Identity): Promise<void> {
    // Tried out where nobody is, since the listener that is there has to go first.
    open({ hostname: "127.0.0.1", port: 0 }, identity).close();
    this.#identity = identity;
    await Promise.all([...this.#listeners].map((listener) => listener.exchange(identity)));
  }
}

function open(options: ListenOptions, { cert, key }: Identity): Deno.TlsListener {
  try {
    return Deno.listenTls({ ...options, cert, key, alpnProtocols: [PROTOCOL] });
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof Deno.errors.InvalidData || /\bkeys?\b|certificate|KeyMismatch/i.test(words)) {
      throw new FshError("CERTIFICATE_UNUSABLE", { detail: words, cause });
    }
    throw listenError(cause, options);
  }
}

class TlsListener implements Listener {
  readonly hostname: string;
  readonly port: number;
  readonly #own: { readonly tuning: SocketTuning; readonly closed: () => void };
  readonly #reusePort: boolean;
  #identity: Identity;
  #certificate: Certificate;
  #listener: Deno.TlsListener;
  /** Whether the listener listens: not between two, and not where another program has taken the port meanwhile. */
  #open = true;
  #exchanging: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    options: ListenOptions,
    identity: Identity,
    own: { readonly tuning: SocketTuning; readonly closed: () => void },
  ) {
    this.#listener = open(options, identity);
    this.#identity = identity;
    this.#certificate = Certificate.fromPem(identity.cert);
    this.#own = own;
    this.#reusePort = options.reusePort ?? false;
    this.hostname = this.#listener.addr.hostname;
    this.port = this.#listener.addr.port;
    tuneListener(this, own.tuning);
  }

  /** Handshakes go on beside it, each within the patience of whoever reads first. */
  async accept(): Promise<Connection> {
    for (;;) {
      await this.#exchanging;
      if (!this.#open && !this.#closed) await this.exchange(this.#identity);
      const listener = this.#listener;
      try {
        return this.#connection(await listener.accept());
      } catch (cause) {
        // Closed to make room for its successor.
        if (!this.#closed && (!this.#open || listener !== this.#listener)) continue;
        throw acceptError(cause, formatAddress(this.hostname, this.port));
      }
    }
  }

  #connection(socket: Deno.TlsConn): Connection {
    const remote = formatAddress(socket.remoteAddr.hostname, socket.remoteAddr.port);
    const ready = socket.handshake().then(({ alpnProtocol }) => {
      if (alpnProtocol === PROTOCOL) return;
      throw new FshError("TLS_FAILED", { subject: remote, detail: "it speaks TLS, but did not ask for FSH/1 (ALPN)" });
    }, (cause) => {
      throw serverHandshakeError(cause, remote);
    });
    // Told to whoever reads.
    ready.catch(() => {});
    const { tuning } = this.#own;
    const tls = { ready, failure: tlsError, answersTo: answersTo(this.#certificate) };
    return new SocketConnection(socket, { tuning, tls });
  }

  /** The runtime can't change the certificate of a listener: it is closed and opened again, within a turn or two. */
  exchange(identity: Identity): Promise<void> {
    const exchanging = this.#exchanging.then(() => this.#reopen(identity));
    this.#exchanging = exchanging.catch(() => {});
    return exchanging;
  }

  /** Whether the port may be taken again: a process that has given up root's rights can't, below 1024. */
  #checkPort(identity: Identity): void {
    try {
      open({ hostname: this.hostname, port: this.port }, identity).close();
    } catch (error) {
      // Taken by this very listener. The right to it is looked at first (bind(2)).
      if (!isError(error, "ADDRESS_IN_USE")) throw error;
    }
  }

  async #reopen(identity: Identity): Promise<void> {
    const { hostname, port } = this;
    if (this.#closed) return;
    if (this.#reusePort) return this.#replace(identity);
    this.#checkPort(identity);
    this.#identity = identity;
    this.#open = false;
    close(this.#listener);
    const until = performance.now() + REOPEN_LIMIT;
    while (!this.#closed) {
      try {
        this.#listener = open({ hostname, port }, identity);
        this.#open = true;
        tuneListener(this, this.#own.tuning);
        this.#certificate = Certificate.fromPem(identity.cert);
        return;
      } catch (error) {
        // The accept that was waiting holds the port for another turn.
        if (!isError(error, "ADDRESS_IN_USE") || performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
  }

  inspect(): GrantedOptions | null {
    return this.#closed ? null : grantedAt(this);
  }

  /** Where a port may have several listeners the next one is there before this one goes. */
  #replace(identity: Identity): void {
    const before = this.#listener;
    this.#listener = open({ hostname: this.hostname, port: this.port, reusePort: true }, identity);
    this.#identity = identity;
    this.#certificate = Certificate.fromPem(identity.cert);
    tuneListener(this, this.#own.tuning);
    close(before);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#own.closed();
    close(this.#listener);
  }
}

/** The work's outcome, unless it takes too long or is interrupted; the work itself is left alone. */
function within<T>(
  work: Promise<T>,
  { limit, subject, signal }: { limit: number; subject: string; signal: AbortSignal | undefined },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new FshError("HANDSHAKE_TIMEOUT", { subject, detail: `TLS, within ${limit / 1000} s` }));
    const timer = limit > 0 ? setTimeout(late, limit) : undefined;
    const interrupted = () => reject(new FshError("INTERRUPTED"));
    signal?.addEventListener("abort", interrupted);
    if (signal?.aborted) interrupted();
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", interrupted);
    });
  });
}

/** Closes what may be closed already. */
function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is gone.
  }
}
