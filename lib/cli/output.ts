import { encodeUtf8, printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { osError } from "../storage/os_error.ts";
import { formatJson, formatText, Log, LOG_LEVELS, type LogLevel } from "../base/log.ts";

/** Writes all of it, at once. */
function writeSync(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encodeUtf8(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}

/** A result: on standard output. A reader that has gone (`fsh ls | head`) ends the program quietly, as it does others. */
export function print(line: string): void {
  try {
    writeSync(Deno.stdout, line + "\n");
  } catch (error) {
    throw outputFailed(error);
  }
}

/** As `print`, for much text: waits for a slow reader without holding up the heartbeat. */
export async function printAll(text: string): Promise<void> {
  const bytes = encodeUtf8(text);
  try {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  } catch (error) {
    throw outputFailed(error);
  }
}

function outputFailed(error: unknown): FshError {
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(1);
  return osError(error, "standard output");
}

/** Anything else: on standard error. Where that can't be written there is nobody to tell, and the work goes on. */
export function note(line: string): void {
  writeRaw(line + "\n");
}

export function writeRaw(text: string): void {
  try {
    writeSync(Deno.stderr, text);
  } catch {
    // See above.
  }
}

/** A name for whoever reads: on a terminal control characters are shown, elsewhere a program wants it as it is. */
export function displayName(name: string): string {
  return Deno.stdout.isTerminal() ? printable(name) : name;
}

/** `fsh: what happened`, safe for a terminal. */
export function complain(error: FshError): void {
  note(`fsh: ${printable(error.remote ? `${error.message} (says the server)` : error.message)}`);
}

/** The log on standard error; FSH_LOG sets the level: error, warn, info, debug, trace. */
export function makeLog(options: { json: boolean; fallback: LogLevel }): Log {
  const wanted = Deno.env.get("FSH_LOG");
  const level = LOG_LEVELS.find((one) => one === wanted);
  if (wanted && !level) {
    throw new FshError("USAGE", { subject: `FSH_LOG=${wanted}`, detail: `it takes one of ${LOG_LEVELS.join(", ")}` });
  }
  const format = options.json ? formatJson : formatText;
  return new Log(level ?? options.fallback, (record) => note(format(record)));
}
