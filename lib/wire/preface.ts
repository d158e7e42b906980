import { FshError } from "../base/errors.ts";

/** What each side sends first: protocol and version. It is a malformed request to an HTTP server, which so answers at once. */
export const PREFACE: Uint8Array<ArrayBuffer> = new TextEncoder().encode("FSH/1\r\n");

/**
 * Compares what a peer sent first with the preface.
 *
 * @returns true when complete, false when more bytes are needed
 * @throws {FshError} BAD_PREFACE naming what the peer seems to speak, BAD_VERSION
 */
export function checkPreface(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, PREFACE.length);
  for (let i = 0; i < length; i++) {
    if (bytes[i] === PREFACE[i]) continue;
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
    if (/^FSH\/[0-9]/.test(text)) throw new FshError("BAD_VERSION", { detail: `it speaks ${text.slice(0, 5)}` });
    const other = guess(bytes, text);
    throw new FshError("BAD_PREFACE", other === null ? {} : { detail: `it seems to speak ${other}` });
  }
  return length === PREFACE.length;
}

/** What a lost client gets before the connection closes: an answer in its own language where that is simple. */
export function strayAnswer(first: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder("latin1").decode(first.subarray(0, 64));
  const sentence = "This is an fsh server; it speaks FSH/1. Use an fsh client: fsh ls fsh://HOST:PORT/\r\n";
  const answer = guess(first, text) === "HTTP"
    ? "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n" +
      `Content-Length: ${sentence.length}\r\n\r\n${sentence}`
    : sentence;
  return new TextEncoder().encode(answer);
}

function guess(bytes: Uint8Array, text: string): string | null {
  // As few bytes as the preface has may be all there is to see: OPTIONS and CONNECT fill them.
  if (/^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI)( |$)/.test(text) || text.startsWith("HTTP/")) {
    return "HTTP";
  }
  if (text.startsWith("SSH-")) return "SSH";
  // A handshake, or an alert about our preface (RFC 8446, section 5.1).
  if ((bytes[0] === 0x16 || bytes[0] === 0x15) && bytes[1] === 0x03) return "TLS; fshs:// is FSH/1 over TLS";
  if (/^(220|EHLO |HELO |USER )/.test(text)) return "FTP or SMTP";
  if (text.startsWith("@RSYNCD:")) return "rsync";
  return null;
}
