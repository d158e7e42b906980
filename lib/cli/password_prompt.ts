import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { writeRaw } from "./output.ts";

const KEYS = { interrupt: 0x03, end: 0x04, backspace: 0x08, erase: 0x7f, clear: 0x15, enter: 0x0d, newline: 0x0a };
/** More is no password. */
const MOST_BYTES = 1024;

/** Whether somebody is there to be asked. */
export function canPrompt(): boolean {
  return Deno.stdin.isTerminal();
}

/**
 * Asks on the terminal, without showing what is typed. However it ends, the terminal is as it was.
 *
 * @throws {FshError} INTERRUPTED by Ctrl-C or the signal; AUTH_FAILED where nothing was typed
 */
export async function promptPassword(question: string, signal: AbortSignal): Promise<string> {
  const interrupted = Promise.withResolvers<null>();
  const onAbort = () => interrupted.resolve(null);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  const typed: number[] = [];
  Deno.stdin.setRaw(true);
  try {
    writeRaw(question);
    const some = new Uint8Array(256);
    for (;;) {
      const read = await Promise.race([Deno.stdin.read(some), interrupted.promise]);
      if (signal.aborted) throw new FshError("INTERRUPTED");
      const done = read === null || some.subarray(0, read).some((byte) => take(typed, byte));
      some.fill(0);
      if (done) break;
    }
  } finally {
    Deno.stdin.setRaw(false);
    signal.removeEventListener("abort", onAbort);
    writeRaw("\n");
  }
  if (typed.length === 0) throw new FshError("AUTH_FAILED", { detail: "no password was given" });
  try {
    return decodeUtf8(Uint8Array.from(typed));
  } catch {
    throw new FshError("AUTH_FAILED", { detail: "what was typed is not UTF-8" });
  }
}

/**
 * Asks on the terminal for a line, which is shown as it is typed.
 *
 * @throws {FshError} INTERRUPTED by Ctrl-C or the signal
 */
export async function askOnTerminal(question: string, signal: AbortSignal): Promise<string> {
  const interrupted = Promise.withResolvers<null>();
  const onAbort = () => interrupted.resolve(null);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  writeRaw(question);
  try {
    // The terminal hands over line by line.
    const line = new Uint8Array(MOST_BYTES);
    const read = await Promise.race([Deno.stdin.read(line), interrupted.promise]);
    if (signal.aborted) throw new FshError("INTERRUPTED");
    return new TextDecoder().decode(line.subarray(0, read ?? 0));
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What one byte of the terminal means; true where the line is done. */
function take(typed: number[], byte: number): boolean {
  switch (byte) {
    case KEYS.interrupt:
      throw new FshError("INTERRUPTED");
    case KEYS.enter:
    case KEYS.newline:
    case KEYS.end:
      return true;
    case KEYS.clear:
      typed.length = 0;
      return false;
    case KEYS.backspace:
    case KEYS.erase:
      // The whole character, however many bytes it has.
      while (((typed.pop() ?? 0) & 0xc0) === 0x80);
      return false;
    default:
      if (typed.length < MOST_BYTES) typed.push(byte);
      return false;
  }
}
