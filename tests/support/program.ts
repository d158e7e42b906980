import { dirname, fromFileUrl, join } from "@std/path";
import { toText } from "@std/streams";
import { schemeOptions, urlOf } from "./scheme.ts";

/** The compiled executable; `scripts/deno task compile` makes it. */
export const FSH = Deno.env.get("FSH_EXECUTABLE") ??
  join(dirname(dirname(dirname(fromFileUrl(import.meta.url)))), "dist", "fsh");

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly stdin?: Uint8Array | ReadableStream<Uint8Array>;
}

/** Runs fsh to its end. */
export async function fsh(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawnFsh(args, options);
  const [status, out, err] = await Promise.all([child.status, toText(child.stdout), toText(child.stderr)]);
  return { code: status.code, out, err };
}

/** Starts fsh; the caller sees to its end. */
export function spawnFsh(args: readonly string[], options: RunOptions = {}): Deno.ChildProcess {
  const { env = {}, cwd, stdin } = options;
  const child = new Deno.Command(FSH, {
    args: [...args],
    env: { FSH_LOG: "", FSH_URL: "", ...env },
    ...(cwd ? { cwd } : {}),
    stdin: stdin ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (stdin) {
    const source = stdin instanceof Uint8Array ? new Blob([stdin.slice()]).stream() : stdin;
    // A program that ends without reading it all is its own business.
    source.pipeTo(child.stdin).catch(() => {});
  }
  return child;
}

/** A running `fsh serve`. */
export class ServerProcess implements AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  readonly child: Deno.ChildProcess;
  /** The line that said that it is ready. */
  ready = "";
  readonly #out: ReadableStreamDefaultReader<string>;
  readonly #draining: Promise<unknown>;
  #log = "";
  #printed = "";
  #ended = false;

  private constructor(
    folder: string,
    url: string,
    child: Deno.ChildProcess,
    out: ReadableStreamDefaultReader<string>,
  ) {
    this.folder = folder;
    this.url = url;
    this.child = child;
    this.#out = out;
    this.#draining = Promise.all([this.#drain(), this.#drainOutput()]);
  }

  /** Serves a new temporary folder, or the given one, on a free port. */
  static async start(
    options: { args?: readonly string[]; env?: Record<string, string>; folder?: string; command?: readonly string[] } =
      {},
  ): Promise<ServerProcess> {
    const folder = options.folder ?? await Deno.makeTempDir({ prefix: "fsh-e2e-" });
    const [program = FSH, ...before] = options.command ?? [FSH];
    const overQuic = await schemeOptions(options.args ?? []);
    const child = new Deno.Command(program, {
      args: [...before, "serve", folder, "--port", "0", ...overQuic, ...options.args ?? []],
      env: { FSH_LOG: "", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const out = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const found = () => line.includes("\n") ? urlOf(line, overQuic.length > 0) : undefined;
    let line = "";
    while (found() === undefined) {
      const { value, done } = await out.read();
      if (done) throw new Error(`fsh serve did not start: ${await toText(child.stderr)}`);
      line += value;
    }
    const url = found() ?? "";
    const server = new ServerProcess(folder, url, child, out);
    server.#printed = line.slice(line.indexOf("\n") + 1);
    server.ready = line;
    return server;
  }

  get pid(): number {
    return this.child.pid;
  }

  get port(): number {
    return Number(new URL(this.url.replace(/^fsh[sq]?:/, "http:")).port);
  }

  /** What it has printed on standard output since it was ready. */
  get out(): string {
    return this.#printed;
  }

  /** The fingerprint of its certificate, as it prints it when it starts. */
  get fingerprint(): Promise<string> {
    return eventually("the fingerprint", 10_000, () => /^fsh: fingerprint (SHA256:\S+)\n/m.exec(this.#printed)?.[1]);
  }

  /** Everything that it has logged so far. */
  get log(): string {
    return this.#log;
  }

  /** Waits until the log has a match; fails after `ms` milliseconds. */
  async logged(pattern: RegExp, ms = 10_000): Promise<string> {
    return await eventually(`log to match ${pattern}`, ms, () => pattern.exec(this.#log)?.[0]);
  }

  /** Open descriptors of the process. */
  descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.pid}/fd`)].length;
  }

  /** Ends it and answers its exit status. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    if (!this.#ended) {
      this.#ended = true;
      try {
        this.child.kill("SIGCONT");
        this.child.kill(signal);
      } catch {
        // It has ended by itself.
      }
    }
    const { code } = await this.child.status;
    await this.#draining;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }

  async #drainOutput(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#out.read();
      if (done) return;
      this.#printed += value;
    }
  }

  async #drain(): Promise<void> {
    for await (const text of this.child.stderr.pipeThrough(new TextDecoderStream())) this.#log += text;
  }
}

/** Polls until `look` answers something; fails after `ms` milliseconds, naming what was awaited. */
export async function eventually<T>(what: string, ms: number, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Most memory that a process has had so far (VmHWM of proc(5)), in MiB; 0 once it is gone. */
export function peakMemory(pid: number): number {
  try {
    const kib = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Memory that a process has now (VmRSS of proc(5)), in MiB. */
export function currentMemory(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Number(kib ?? 0) / 1024;
}

/** A temporary folder that goes with the scope. */
export async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Whether a program of this name can be started. */
export function hasProgram(name: string): boolean {
  try {
    new Deno.Command(name, { args: ["--version"], stdin: "null", stdout: "null", stderr: "null" }).outputSync();
    return true;
  } catch {
    return false;
  }
}

/** Names in a folder, fsh's own part files among them. */
export function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}
