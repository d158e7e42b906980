import { type Certificate, PINNED_NAME } from "../base/certificate.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import { probeCertificate } from "../transport/probe.ts";
import { QuicTransport } from "../transport/quic.ts";
import { type Anchor, TlsTransport } from "../transport/tls.ts";
import { DEFAULT_TUNING, type SocketTuning } from "../transport/tuning.ts";
import { type Connection, type ConnectOptions, formatAddress } from "../transport/transport.ts";

/** Host and port as the user named them. */
export interface ServerName {
  readonly hostname: string;
  readonly port: number;
}

/** What is known of servers from earlier. */
export interface KnownServers {
  /** The certificate remembered for a server, if any, and the fingerprints that are marked as revoked for it. */
  find(server: ServerName): Promise<{ readonly known: Certificate | null; readonly revoked: ReadonlySet<string> }>;
  /** Remembers one where none was known. @throws {FshError} CERTIFICATE_CHANGED: meanwhile another one was remembered */
  remember(server: ServerName, certificate: Certificate): Promise<void>;
  /** What to do if it is right that a server has another certificate now. */
  advice(server: ServerName): string;
}

export interface TrustOptions {
  /** How to connect: over TLS (the default) or QUIC. */
  readonly by?: "fshs" | "fshq";
  readonly known: KnownServers;
  /** Only the certificate with this fingerprint will do. */
  readonly fingerprint?: string | undefined;
  /** Whether to trust a certificate for which nobody vouches, from now on. Rejects where that can't be found out. */
  readonly meet: (server: ServerName, certificate: Certificate) => Promise<boolean>;
  /** Milliseconds; 0: for ever. */
  readonly handshakeTimeout: number;
  readonly tuning?: SocketTuning;
}

/**
 * Connects over TLS or QUIC to whoever is the right one: by a fingerprint that was given, else by the certificate that is
 * remembered, else as the web does by the system's authorities, else by one that the user takes on first sight. What was
 * decided holds for as long as this object does: nobody is asked twice.
 */
export class TrustingConnector {
  readonly #options: TrustOptions;
  readonly #decided = new Map<string, Certificate | "authorities">();

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  /**
   * @throws {FshError} as `TlsTransport.connect`; CERTIFICATE_CHANGED, CERTIFICATE_REVOKED, CERTIFICATE_UNKNOWN, and what
   * `known` and `meet` reject with
   */
  async connect(options: ConnectOptions): Promise<Connection> {
    const { fingerprint, known: servers } = this.#options;
    const decided = this.#decided.get(subjectOf(options));
    if (decided === "authorities") return await this.#open(options, {});
    if (decided) return await this.#pinned(options, decided, servers.advice(options));
    const { known, revoked } = await servers.find(options);
    if (fingerprint !== undefined) return await this.#given(options, { fingerprint, known, revoked });
    if (!known) return await this.#stranger(options, revoked);
    refuseRevoked(options, { fingerprint: known.fingerprint, revoked });
    return await this.#pinned(options, known, servers.advice(options));
  }

  /** Only the certificate of the given fingerprint. */
  async #given(
    options: ConnectOptions,
    { fingerprint, known, revoked }: { fingerprint: string; known: Certificate | null; revoked: ReadonlySet<string> },
  ): Promise<Connection> {
    refuseRevoked(options, { fingerprint, revoked });
    const certificate = known?.fingerprint === fingerprint ? known : await this.#probe(options);
    const advice = "--fingerprint asks for the former.";
    if (certificate.fingerprint !== fingerprint) {
      throw changed(options, { known: fingerprint, shown: certificate, advice });
    }
    return await this.#pinned(options, certificate, advice);
  }

  /** Only this certificate. */
  async #pinned(options: ConnectOptions, certificate: Certificate, advice: string): Promise<Connection> {
    const anchor = pin(options, certificate);
    try {
      const connection = await this.#open(options, anchor);
      this.#decided.set(subjectOf(options), certificate);
      return connection;
    } catch (error) {
      if (!isCertificateError(error)) throw error;
      const shown = await this.#probe(options);
      if (shown.fingerprint === certificate.fingerprint) throw error;
      throw changed(options, { known: certificate.fingerprint, shown, advice });
    }
  }

  /** As the web does; else whoever the user takes. */
  async #stranger(options: ConnectOptions, revoked: ReadonlySet<string>): Promise<Connection> {
    if (revoked.size > 0) {
      refuseRevoked(options, { fingerprint: (await this.#probe(options)).fingerprint, revoked });
    }
    try {
      const connection = await this.#open(options, {});
      this.#decided.set(subjectOf(options), "authorities");
      return connection;
    } catch (error) {
      if (!isError(error, "CERTIFICATE_UNKNOWN")) throw error;
    }
    const certificate = await this.#probe(options);
    refuseRevoked(options, { fingerprint: certificate.fingerprint, revoked });
    const subject = subjectOf(options);
    if (!certificate.selfSigned) {
      const detail = "it is signed by an authority that this system does not know; add that one to the system's, or " +
        "name its file by SSL_CERT_FILE";
      throw new FshError("CERTIFICATE_UNKNOWN", { subject, detail });
    }
    await this.#tried(options, certificate);
    if (!await this.#options.meet(options, certificate)) {
      throw new FshError("CERTIFICATE_UNKNOWN", { subject, detail: "you did not trust it" });
    }
    const connection = await this.#pinned(options, certificate, this.#options.known.advice(options));
    try {
      await this.#options.known.remember(options, certificate);
    } catch (error) {
      connection.abort();
      this.#decided.delete(subject);
      throw error;
    }
    return connection;
  }

  /** Nobody is asked about a certificate that would not do: expired, for another name, or not that server's. */
  async #tried(options: ConnectOptions, certificate: Certificate): Promise<void> {
    const anchor = pin(options, certificate);
    const isOwn = anchor.hostname === PINNED_NAME;
    try {
      const connection = await this.#open(options, isOwn ? anchor : { certificates: [certificate.pem] });
      connection.close();
    } catch (error) {
      if (!isError(error, "CERTIFICATE_NAME")) throw error;
      const detail = `${error.detail}, or vouch for it by --fingerprint ${certificate.fingerprint}`;
      throw new FshError("CERTIFICATE_NAME", { subject: error.subject, detail, cause: error });
    }
  }

  #open(options: ConnectOptions, anchor: Anchor): Promise<Connection> {
    const { by, handshakeTimeout, tuning = DEFAULT_TUNING } = this.#options;
    if (by === "fshq") return new QuicTransport({ anchor }).connect(options);
    return new TlsTransport({ anchor, handshakeTimeout, tuning }).connect(options);
  }

  /** The runtime's QUIC does not tell a certificate, so a server's is looked at over TLS at the same port. */
  async #probe(options: ConnectOptions): Promise<Certificate> {
    const { by, handshakeTimeout } = this.#options;
    try {
      return await probeCertificate({ ...options, timeout: handshakeTimeout });
    } catch (error) {
      if (by !== "fshq" || isError(error, "INTERRUPTED")) throw error;
      const detail =
        "it is not the one that is known, if any is; which one it is can be seen only over TLS (fshs://, by " +
        `TCP at the same port), and there: ${toFshError(error).message}`;
      throw new FshError("CERTIFICATE_UNKNOWN", { subject: subjectOf(options), detail, cause: error });
    }
  }
}

/** Trust in exactly one certificate. */
function pin(server: ServerName, certificate: Certificate): Anchor {
  refuseUnpinnable(server, certificate);
  // Not the host's name: the certificate is trusted for what it is. Some name must be checked all the same, because the
  // system's authorities count as well: without it, anybody whom one of them knows would pass.
  const { names } = certificate;
  const hostname = names.includes(PINNED_NAME) ? PINNED_NAME : (names[0] ?? "").replace(/^\*/, "any");
  return { hostname, certificates: [certificate.pem], peerName: certificate.fingerprint };
}

function refuseUnpinnable(server: ServerName, certificate: Certificate): void {
  if (certificate.pinnable) return;
  const why = certificate.isAuthority
    ? "it says that it is an authority's; its owner needs one with CA:FALSE"
    : certificate.selfSigned
    ? "it is for no name at all (subjectAltName)"
    : "an authority signed it, and so it can't be trusted by itself";
  throw new FshError("CERTIFICATE_UNUSABLE", {
    subject: subjectOf(server),
    detail: `${certificate.fingerprint}: ${why}`,
  });
}

function refuseRevoked(
  server: ServerName,
  { fingerprint, revoked }: { fingerprint: string; revoked: ReadonlySet<string> },
): void {
  if (revoked.has(fingerprint)) {
    throw new FshError("CERTIFICATE_REVOKED", { subject: subjectOf(server), detail: fingerprint });
  }
}

function changed(
  server: ServerName,
  { known, shown, advice }: { known: string; shown: Certificate; advice: string },
): FshError {
  const detail = `known: ${known}, shown now: ${shown.fingerprint}. Somebody may be in the middle and read along, or ` +
    `the server has a new certificate; ask whoever runs it. ${advice}`;
  return new FshError("CERTIFICATE_CHANGED", { subject: subjectOf(server), detail });
}

function isCertificateError(error: unknown): boolean {
  return isError(error, "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_NAME", "CERTIFICATE_UNUSABLE");
}

function subjectOf({ hostname, port }: ServerName): string {
  return formatAddress(hostname, port);
}
