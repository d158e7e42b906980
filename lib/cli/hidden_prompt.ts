import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { note, writeRaw } from "./output.ts";

/** Longest secret, in bytes of UTF-8. */
const MAX_BYTES = 1024;

const CTRL_C = 3;
const CTRL_D = 4;
const BACKSPACE = 8;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const CTRL_U = 21;
const DELETE = 127;

/**
 * A secret, for instance a password: asked for on the terminal without showing it, otherwise the first line of standard
 * input, without its line end. It may be empty.
 *
 * @throws {FshError} USAGE: nothing came, or it is no text, or too long; INTERRUPTED: Ctrl-C
 */
export async function readSecret(question: string): Promise<string> {
  const terminal = Deno.stdin.isTerminal();
  if (terminal) {
    // First, so that nothing typed ahead of the question is shown.
    Deno.stdin.setRaw(true);
    writeRaw(`${question}: `);
  }
  try {
    return decode(await readLine(terminal));
  } finally {
    if (terminal) {
      Deno.stdin.setRaw(false);
      note("");
    }
  }
}

async function readLine(terminal: boolean): Promise<number[]> {
  const line: number[] = [];
  const one = new Uint8Array(1);
  for (;;) {
    const count = await Deno.stdin.read(one);
    const byte = one[0] ?? 0;
    if (count === null || (terminal && byte === CTRL_D)) {
      if (line.length === 0) throw new FshError("USAGE", { detail: "standard input ended before a line came" });
      return line;
    }
    if (count === 0) continue;
    if (byte === LINE_FEED || (terminal && byte === CARRIAGE_RETURN)) return line;
    if (!terminal) line.push(byte);
    else if (byte === CTRL_C) throw new FshError("INTERRUPTED");
    else if (byte === CTRL_U) line.length = 0;
    else if (byte === BACKSPACE || byte === DELETE) removeLast(line);
    else line.push(byte);
    if (line.length > MAX_BYTES) throw new FshError("USAGE", { detail: `a line of more than ${MAX_BYTES} bytes` });
  }
}

/** A character may be several bytes of UTF-8. */
function removeLast(line: number[]): void {
  while (line.length > 0 && ((line.pop() ?? 0) & 0xc0) === 0x80);
}

function decode(line: number[]): string {
  if (line.at(-1) === CARRIAGE_RETURN) line.pop();
  try {
    return decodeUtf8(Uint8Array.from(line));
  } catch {
    throw new FshError("USAGE", { detail: "what came is not valid UTF-8" });
  }
}
