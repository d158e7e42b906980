import { toText } from "@std/streams";
import { FSH, hasProgram, peakMemory, type RunOptions } from "./program.ts";

/** GNU time, which knows a program's peak from the system, not from looking now and then. */
const TIME = "/usr/bin/time";

export interface Measured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Most memory that the program had, in MiB. */
  readonly peak: number;
}

/**
 * Runs fsh to its end and tells the most memory that it had. Its output goes to nowhere unless `output`; it is killed
 * after so many `seconds`, where the system has GNU time and timeout(1).
 */
export async function measure(
  args: readonly string[],
  options: Omit<RunOptions, "stdin"> & { readonly output?: boolean; readonly seconds?: number } = {},
): Promise<Measured> {
  const timed = hasTime();
  const { env = {}, cwd, output = false, seconds = 0 } = options;
  // 0: for ever (timeout(1)).
  const program = hasProgram("timeout") ? ["timeout", "-s", "KILL", String(seconds), FSH] : [FSH];
  const [first = FSH, ...rest] = timed ? [TIME, "-q", "-f", "peak=%M", ...program] : [FSH];
  const child = new Deno.Command(first, {
    args: [...rest, ...args],
    env: { FSH_LOG: "", FSH_URL: "", ...env },
    ...(cwd ? { cwd } : {}),
    stdin: "null",
    stdout: output ? "piped" : "null",
    stderr: "piped",
  }).spawn();
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, timed ? 0 : peakMemory(child.pid)), timed ? 1000 : 5);
  const [{ code }, out, err] = await Promise.all([
    child.status,
    output ? toText(child.stdout) : "",
    toText(child.stderr),
  ]);
  clearInterval(timer);
  const kib = /^peak=(\d+)$/m.exec(err)?.[1];
  return { code, out, err: err.replace(/^peak=\d+\n/m, ""), peak: kib === undefined ? peak : Number(kib) / 1024 };
}

function hasTime(): boolean {
  try {
    return new Deno.Command(TIME, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
