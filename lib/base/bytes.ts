const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Bytes that a text takes as UTF-8; a lone surrogate becomes U+FFFD, as `TextEncoder` has it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // The other half of a pair: four bytes for both.
    if ((text.codePointAt(at) ?? 0) > 0xffff) at++;
  }
  return bytes;
}

/** Decodes UTF-8 strictly: throws a TypeError on anything malformed; a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  return strictDecoder.decode(bytes);
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Random bytes from the operating system, as lower-case hex of twice that length. */
export function randomHex(bytes: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(bytes)));
}

/**
 * What a terminal would execute or use to show text in another order than it has: C0, DEL, C1, line and paragraph
 * separators, and the directional formatting characters of Unicode (UAX #9, section 2).
 */
// deno-lint-ignore no-control-regex
const EXECUTED = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]/g;

/**
 * Text for a terminal or a log line: control and direction characters become `\x1b`, `\u202e` and so on, so that they
 * are shown and not executed.
 */
export function printable(text: string): string {
  return text.replace(EXECUTED, (character) => {
    const code = character.charCodeAt(0);
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    if (character === "\r") return "\\r";
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  });
}

/** JSON on one line in which such characters are escaped, too: JSON itself does so only with C0. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    EXECUTED,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/** Text that takes at most `max` bytes of UTF-8; where something had to go, it ends in an ellipsis. */
export function clipUtf8(text: string, max: number): string {
  const whole = text.toWellFormed();
  if (whole.length * 3 <= max) return whole;
  const bytes = encodeUtf8(whole);
  if (bytes.length <= max) return whole;
  let end = max - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return decodeUtf8(bytes.subarray(0, end)) + "…";
}
