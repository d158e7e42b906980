import { Certificate, isAddress } from "../base/certificate.ts";
import { FshError } from "../base/errors.ts";
import { nodeConnectError } from "./socket_error.ts";
import { clientHandshakeError, cutInHandshake } from "./tls_error.ts";
import { type ConnectOptions, formatAddress } from "./transport.ts";
import { PROTOCOL } from "./tls.ts";

/**
 * Asks a server for its certificate, whatever that is, on a connection of its own over which nothing else is said. It
 * proves nothing: what is done next must check it.
 *
 * @throws {FshError} REFUSED, UNREACHABLE, UNKNOWN_HOST, CONNECT_TIMEOUT, CONNECTION_RESET, CONNECTION_LOST, TLS_FAILED,
 * HANDSHAKE_TIMEOUT, CERTIFICATE_UNUSABLE, INTERRUPTED
 */
export async function probeCertificate(options: ConnectOptions): Promise<Certificate> {
  const { connect } = await import("node:tls");
  const { hostname, port, timeout, signal } = options;
  const subject = formatAddress(hostname, port);
  const { promise, resolve, reject } = Promise.withResolvers<Certificate>();
  const interrupted = () => reject(new FshError("INTERRUPTED"));
  const late = () => reject(new FshError("HANDSHAKE_TIMEOUT", { subject, detail: `TLS, within ${timeout / 1000} s` }));
  const timer = timeout > 0 ? setTimeout(late, timeout) : undefined;
  const socket = connect({
    host: hostname,
    port,
    rejectUnauthorized: false,
    ALPNProtocols: [PROTOCOL],
    ...(isAddress(hostname) ? {} : { servername: hostname }),
  });
  socket.on("error", (cause) => reject(nodeConnectError(cause, subject) ?? clientHandshakeError(cause, subject)));
  socket.on("close", () => reject(cutInHandshake(subject)));
  socket.on("secureConnect", () => {
    try {
      const shown = socket.getPeerCertificate();
      // The runtime says "secureConnect" after a handshake that failed, too; what went wrong follows.
      if (!shown) return;
      const { raw } = shown;
      if (!raw) throw new FshError("CERTIFICATE_UNUSABLE", { subject, detail: "it shows none" });
      resolve(Certificate.fromDer(raw));
    } catch (error) {
      reject(error instanceof FshError ? error.about(subject) : error);
    }
  });
  signal?.addEventListener("abort", interrupted);
  try {
    if (signal?.aborted) interrupted();
    const certificate = await promise;
    // With a goodbye, so that the server does not take it for a cut.
    socket.end(() => socket.destroy());
    return certificate;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", interrupted);
  }
}
