import { toText } from "@std/streams";
import { spawnFsh } from "./program.ts";

/** Milliseconds that a command has left when time is up. */
const GRACE = 15_000;

/** What an honest user got done. */
export interface Done {
  /** Bytes per second of whole files, programs started and connections made for each. */
  readonly rate: number;
  /** Longest that a small listing took, in milliseconds. */
  readonly slowest: number;
  readonly failures: string[];
}

/** Gets a file of `size` bytes again and again for some seconds, one program after the other, and lists a small folder meanwhile. */
export async function work(url: string, { size, seconds }: { size: number; seconds: number }): Promise<Done> {
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const failures: string[] = [];
  const run = async (...args: string[]): Promise<boolean> => {
    const child = spawnFsh(args);
    const timer = setTimeout(() => child.kill("SIGKILL"), Math.max(0, end - performance.now()) + GRACE);
    const [{ code, signal }, err] = await Promise.all([child.status, toText(child.stderr), toText(child.stdout)]);
    clearTimeout(timer);
    if (code !== 0) failures.push(`${args[0]}: ${signal ?? code} ${err}`);
    return code === 0;
  };
  let bytes = 0;
  let last = begun;
  let slowest = 0;
  const getting = async () => {
    while (performance.now() < end) {
      if (await run("get", "-q", `${url}big`, "/dev/null")) bytes += size;
      last = performance.now();
    }
  };
  const listing = async () => {
    while (performance.now() < end) {
      const before = performance.now();
      await run("ls", `${url}small`);
      slowest = Math.max(slowest, performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  await Promise.all([getting(), listing()]);
  return { rate: bytes / ((last - begun) / 1000), slowest, failures };
}
