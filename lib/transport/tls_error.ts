import { FshError } from "../base/errors.ts";
import { brokenError, connectionError } from "./socket_error.ts";

/** An error of the runtime's TLS (rustls), told apart by its words: it has no codes. */
export function tlsError(cause: unknown, subject: string): FshError {
  // An attacker in the middle can cut TCP; without this a cut would pass for the end.
  if (cause instanceof Deno.errors.UnexpectedEof) {
    return new FshError("CONNECTION_RESET", { subject, detail: "cut off, without the end that TLS has", cause });
  }
  if (!(cause instanceof Deno.errors.InvalidData)) return brokenError(cause, subject);
  return new FshError("TLS_FAILED", { subject, detail: wordsOf(cause), cause });
}

/** As `tlsError`, for the handshake on the client's side. */
export function clientHandshakeError(cause: unknown, subject: string): FshError {
  const words = wordsOf(cause);
  const failed = (detail: string) => new FshError("TLS_FAILED", { subject, detail, cause });
  if (cause instanceof Deno.errors.UnexpectedEof) return cutInHandshake(subject, cause);
  if (!(cause instanceof Deno.errors.InvalidData)) return connectionError(cause, subject);
  if (words.startsWith("invalid peer certificate")) return certificateError(cause, subject);
  if (/corrupt message|InvalidMessage|InvalidContentType/.test(words)) {
    return failed(
      "the answer is not TLS: a server without TLS is fsh://, and then everybody on the way can read along",
    );
  }
  if (words.includes("NoApplicationProtocol")) return failed("it speaks TLS, but not FSH/1 in it");
  return failed(words);
}

/** A link that fails may do so in the handshake as well; a server of another protocol may leave without an answer. */
export function cutInHandshake(subject: string, cause?: unknown): FshError {
  const detail = "cut off in the TLS handshake; if that is so each time, does the server speak TLS?";
  return new FshError("CONNECTION_LOST", { subject, detail, cause });
}

/** As `tlsError`, for the handshake on the server's side. */
export function serverHandshakeError(cause: unknown, subject: string): FshError {
  const words = wordsOf(cause);
  const failed = (detail: string) => new FshError("TLS_FAILED", { subject, detail, cause });
  if (cause instanceof Deno.errors.UnexpectedEof) return failed("it left in the TLS handshake");
  if (!(cause instanceof Deno.errors.InvalidData)) return connectionError(cause, subject);
  if (/corrupt message|InvalidMessage|InvalidContentType/.test(words)) return failed("it does not speak TLS");
  if (words.includes("fatal alert")) return failed(`it ended the TLS handshake: ${words}`);
  return failed(words);
}

/** What is wrong with the server's certificate, by the words `invalid peer certificate: …`. */
export function certificateError(cause: Error, subject: string): FshError {
  const words = wordsOf(cause).replace("invalid peer certificate: ", "");
  const bound = /(not valid (?:after|before)) (\d+)/.exec(words);
  if (bound) {
    const time = new Date(Number(bound[2]) * 1000).toISOString().slice(0, 19).replace("T", " ");
    const detail = `${bound[1]} ${time} UTC; its owner needs a new one, or one of the clocks is wrong`;
    return new FshError("CERTIFICATE_EXPIRED", { subject, detail, cause });
  }
  if (/not valid for name|NotValidForName/.test(words)) {
    const names = words.split("only valid for ")[1];
    const detail = (names === undefined ? "it names none" : `it is for ${plainNames(names)}`) +
      "; connect by a name that it has";
    return new FshError("CERTIFICATE_NAME", { subject, detail, cause });
  }
  if (words.includes("CaUsedAsEndEntity")) {
    const detail = "it says that it is an authority's; its owner needs one with CA:FALSE";
    return new FshError("CERTIFICATE_UNUSABLE", { subject, detail, cause });
  }
  if (/UnknownIssuer|BadSignature/.test(words)) return new FshError("CERTIFICATE_UNKNOWN", { subject, cause });
  return new FshError("CERTIFICATE_UNUSABLE", { subject, detail: words, cause });
}

/** `DnsName("a") or IpAddress(b)` as `a or b`. */
function plainNames(text: string): string {
  return text.replace(/(?:DnsName|IpAddress)\("?([^")]*)"?\)/g, "$1");
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
