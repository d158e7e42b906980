import { FshError } from "../base/errors.ts";
import { connectionError } from "./socket_error.ts";
import { certificateError } from "./tls_error.ts";

/**
 * Seconds without a packet from the peer after which a connection counts as lost. Less than the heartbeat's interval by
 * default, as the first packet that is sent into the silence starts them anew (RFC 9000, section 10.1).
 */
export const IDLE_SECONDS = 25;

const CERTIFICATE = "invalid peer certificate: ";

/** An error of the runtime's QUIC (quinn), told apart by its words: it has no codes. */
export function quicError(cause: unknown, subject: string): FshError {
  const words = wordsOf(cause);
  if (words === "timed out") {
    const detail = `not a packet for ${IDLE_SECONDS} s`;
    return new FshError("PEER_TIMEOUT", { subject, detail, cause });
  }
  if (/^(?:closed by peer|reset by peer|aborted by peer)/.test(words)) {
    return new FshError("CONNECTION_RESET", { subject, cause });
  }
  return connectionError(cause, subject);
}

/** As `quicError`, for the handshake on the client's side. */
export function quicConnectError(cause: unknown, subject: string): FshError {
  const words = wordsOf(cause);
  const certificate = words.indexOf(CERTIFICATE);
  if (certificate !== -1) return certificateError(new Error(words.slice(certificate), { cause }), subject);
  if (words === "timed out") return new FshError("CONNECT_TIMEOUT", { subject, cause });
  if (/refused to accept/.test(words)) {
    return new FshError("REFUSED", { subject, detail: "it takes no more connections by QUIC now", cause });
  }
  if (/error 120\b|no application protocol|any known protocol/i.test(words)) {
    return new FshError("TLS_FAILED", { subject, detail: "it speaks QUIC, but not FSH/1 in it", cause });
  }
  if (/cryptographic handshake|version/i.test(words)) {
    return new FshError("TLS_FAILED", { subject, detail: words, cause });
  }
  return quicError(cause, subject);
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
