import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";

/** Longest line, in bytes. */
const MAX_BYTES = 1024;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/**
 * The first line of standard input, without its line end; what follows is left alone.
 *
 * @throws {FshError} USAGE: nothing came, it is not UTF-8, or longer than 1,024 bytes
 */
export async function readInputLine(): Promise<string> {
  const line: number[] = [];
  const one = new Uint8Array(1);
  for (;;) {
    const count = await Deno.stdin.read(one);
    if (count === null && line.length === 0) throw wrong("it ended before a line came");
    if (count === null || one[0] === LINE_FEED) break;
    line.push(one[0] ?? 0);
    if (line.length > MAX_BYTES) throw wrong(`a line of more than ${MAX_BYTES} bytes`);
  }
  if (line.at(-1) === CARRIAGE_RETURN) line.pop();
  try {
    return decodeUtf8(Uint8Array.from(line));
  } catch {
    throw wrong("it is not UTF-8");
  }
}

function wrong(detail: string): FshError {
  return new FshError("USAGE", { subject: "standard input", detail });
}
