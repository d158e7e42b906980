import { toText } from "@std/streams";
import { FSH, peakMemory, type RunOptions } from "./program.ts";

/** GNU time, which knows a program's peak from the system, not from looking now and then. */
const TIME = "/usr/bin/time";

export interface Measured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Most memory that the program had, in MiB. */
  readonly peak: number;
}

/** Runs fsh to its end and tells the most memory that it had. Its output goes to nowhere unless `output`. */
export async function measure(
  args: readonly string[],
  options: Omit<RunOptions, "stdin"> & { readonly output?: boolean } = {},
): Promise<Measured> {
  const timed = hasTime();
  const { env = {}, cwd, output = false } = options;
  const child = new Deno.Command(timed ? TIME : FSH, {
    args: timed ? ["-q", "-f", "peak=%M", FSH, ...args] : [...args],
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
