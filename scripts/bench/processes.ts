// Programs that the benchmark starts: each is known by its id, and an interrupt ends those that are measured.
import { join } from "@std/path";
import { toText } from "@std/streams";
import { eventually } from "../../tests/support/program.ts";

/** Thrown into whatever waits for a program when the benchmark is interrupted. */
export class Interrupted extends Error {}

const controller = new AbortController();
const measured = new Set<Deno.ChildProcess>();

/** From now on an interrupt ends what is being measured; servers and files are cleared away by their owners. */
export function catchInterrupts(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      controller.abort();
      for (const child of measured) end(child, "SIGTERM");
    });
  }
}

export function throwIfInterrupted(): void {
  if (controller.signal.aborted) throw new Interrupted("interrupted");
}

/** A program that was started, and what it says on standard error. */
export interface Started {
  readonly child: Deno.ChildProcess;
  readonly complaints: Promise<string>;
  readonly command: readonly string[];
}

/** Starts a program that is measured. It leads a group of its own, so that a pipe of several ends as a whole. */
export function start(command: readonly string[], stdout: "null" | "piped" = "null"): Started {
  throwIfInterrupted();
  const [program = "", ...args] = command;
  const env = { FSH_LOG: "", FSH_URL: "" };
  const child = new Deno.Command(program, { args, env, stdin: "null", stdout, stderr: "piped", detached: true })
    .spawn();
  measured.add(child);
  return { child, complaints: toText(child.stderr), command };
}

/** Waits for its end; fails unless it succeeded. */
export async function finish({ child, complaints, command }: Started): Promise<void> {
  try {
    const { success, code } = await child.status;
    const text = (await complaints).trim();
    throwIfInterrupted();
    if (!success) throw new Error(`${command[0]}: ${text || `exit status ${code}`}`);
  } finally {
    measured.delete(child);
  }
}

export async function run(...command: readonly string[]): Promise<void> {
  await finish(start(command));
}

/** Runs a program and answers what it prints on standard output. */
export async function output(...command: readonly string[]): Promise<string> {
  const started = start(command, "piped");
  const text = await toText(started.child.stdout);
  await finish(started);
  return text;
}

/** Runs a program and answers what it says on standard error, however it ends. */
export async function complaints(...command: readonly string[]): Promise<string> {
  const started = start(command);
  await finish(started).catch((error) => {
    if (error instanceof Interrupted) throw error;
  });
  return await started.complaints;
}

/** Ends a program together with the others of its group. */
export function end(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    Deno.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Ends it, and waits until it is gone; harder after five seconds. */
export async function stop({ child, complaints }: Started): Promise<void> {
  end(child, "SIGTERM");
  const timer = setTimeout(() => end(child, "SIGKILL"), 5000);
  await child.status;
  clearTimeout(timer);
  await complaints;
  measured.delete(child);
}

/** The command that starts a script beside this one. */
export function helper(file: string, ...args: string[]): string[] {
  const rights = ["--allow-net", "--allow-read", "--allow-write"];
  return [Deno.execPath(), "run", "--quiet", ...rights, join(import.meta.dirname ?? "", file), ...args];
}

/** Where a program is; the folders for servers count, too. Null if it is not installed. */
export async function find(program: string): Promise<string | null> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const path = `${folder}/${program}`;
    const found = await Deno.stat(path).catch(() => null);
    if (found?.isFile) return path;
  }
  return null;
}

/** A port that nobody uses now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until somebody listens on a port. It does not connect: a listener that takes one connection only would be gone. */
export async function listening(port: number, { child, complaints, command }: Started): Promise<void> {
  const entry = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  let ended = false;
  child.status.then(() => ended = true);
  await eventually(`${command[0]} to listen`, 10_000, () => {
    throwIfInterrupted();
    return ended || Deno.readTextFileSync("/proc/net/tcp").includes(entry);
  });
  if (ended) throw new Error(`${command[0]} did not start: ${(await complaints).trim()}`);
}

/** CPU seconds that a process, all its threads together, has used so far (proc(5), in ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name, in brackets, may hold blanks; utime and stime are the 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
