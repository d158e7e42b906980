import { toText } from "@std/streams";
import { FSH, peakMemory } from "./program.ts";

/** GNU time, which knows a program's peak from the system, not from looking now and then. */
const TIME = "/usr/bin/time";

export interface Measured {
  readonly code: number;
  readonly err: string;
  /** Most memory that the program had, in MiB. */
  readonly peak: number;
}

/** Runs fsh to its end, its output to nowhere, and tells the most memory that it had. */
export async function measure(args: readonly string[]): Promise<Measured> {
  const timed = hasTime();
  const child = new Deno.Command(timed ? TIME : FSH, {
    args: timed ? ["-q", "-f", "peak=%M", FSH, ...args] : [...args],
    env: { FSH_LOG: "", FSH_URL: "" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, timed ? 0 : peakMemory(child.pid)), timed ? 1000 : 5);
  const [{ code }, err] = await Promise.all([child.status, toText(child.stderr)]);
  clearInterval(timer);
  const kib = /^peak=(\d+)$/m.exec(err)?.[1];
  return { code, err, peak: kib === undefined ? peak : Number(kib) / 1024 };
}

function hasTime(): boolean {
  try {
    return new Deno.Command(TIME, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
