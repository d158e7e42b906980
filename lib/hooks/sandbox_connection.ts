import { dirname } from "@std/path";
import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import type { Manifest, Reply } from "./host.ts";
import type { OptionValue, PluginPermissions } from "./plugin.ts";
import type { PluginSource } from "./plugin_source.ts";
import { type FromSandbox, sandboxMessages, SandboxWriter, type ToSandbox } from "./sandbox_message.ts";
import { TOO_MUCH_MEMORY } from "./sandbox_process.ts";

/** Milliseconds that a plugin has for its `stop`. */
const STOP_LIMIT = 2_000;
/** Bytes of what a sandbox said last on standard error that are kept. */
const LAST_WORDS = 2_000;
/** What the runtime needs to find its own files when fsh runs from source. */
const RUNTIME_ENV = ["HOME", "PATH", "DENO_DIR", "XDG_CACHE_HOME", "DENO_TLS_CA_STORE", "DENO_CERT", "SSL_CERT_FILE"];

export interface SandboxConnectionOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The plugin's file; its folder is where the process works. */
  readonly file: string;
  readonly name: string;
  readonly permissions: PluginPermissions;
  readonly log: Log;
  readonly print: (text: string, plugin: string) => void;
}

/** One process of a sandbox, from its start to its end. */
export class SandboxConnection {
  /** Resolves with why the process is gone. */
  readonly ended: Promise<string>;
  readonly #options: SandboxConnectionOptions;
  readonly #child: Deno.ChildProcess;
  readonly #writer: SandboxWriter;
  readonly #calls = new Map<number, (replies: readonly Reply[]) => void>();
  readonly #log: Log;
  #next = 1;
  #step: PromiseWithResolvers<FromSandbox> | null = null;
  #pongs: (() => void)[] = [];
  #lastWords = "";
  #why: string | null = null;
  #gone = false;

  constructor(options: SandboxConnectionOptions) {
    this.#options = options;
    this.#log = options.log.with({ plugin: options.name, unhooked: true });
    this.#child = new Deno.Command(options.command, {
      args: [...options.args],
      cwd: dirname(options.file),
      clearEnv: true,
      env: environment(options.permissions),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const input = this.#child.stdin.getWriter();
    this.#writer = new SandboxWriter(async (bytes) => {
      await input.write(bytes);
      return bytes.length;
    });
    this.ended = this.#run(input);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** @throws {FshError} PLUGIN_FAILED */
  async load({ entry, modules }: PluginSource): Promise<Manifest> {
    const answer = await this.#ask({ type: "load", entry, modules });
    if (answer.type !== "loaded") throw this.#failed("it did not load");
    return answer.manifest;
  }

  /** @throws {FshError} PLUGIN_FAILED */
  async start(options: Readonly<Record<string, OptionValue>>): Promise<void> {
    await this.#ask({ type: "start", options });
  }

  /** Never rejects. */
  call(hook: HookName, events: readonly HookEvent[], signal: AbortSignal): Promise<readonly Reply[]> {
    if (this.#gone) return Promise.resolve(events.map(() => ({ failure: "it has ended" })));
    const id = this.#next++;
    return new Promise((resolve) => {
      const abort = () => this.#writer.send({ type: "abort", id });
      signal.addEventListener("abort", abort, { once: true });
      this.#calls.set(id, (replies) => {
        signal.removeEventListener("abort", abort);
        resolve(replies.length === events.length ? replies : events.map(() => ({ failure: "it has ended" })));
      });
      this.#writer.send({ type: "call", id, hook, events });
    });
  }

  /** Resolves once the plugin has answered, or is gone. */
  ping(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => {
      this.#pongs.push(resolve);
      this.#writer.send({ type: "ping" });
    });
  }

  /** Lets the plugin stop by itself for a moment, then ends the process. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.kill(), STOP_LIMIT);
    this.#ask({ type: "stop" }).catch(() => {}).finally(() => this.kill());
    await this.ended;
    clearTimeout(timer);
  }

  kill(why?: string): void {
    this.#why ??= why ?? null;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It is gone already.
    }
  }

  /** Sends one of the steps of a plugin's life and waits for what comes of it. */
  async #ask(message: ToSandbox): Promise<FromSandbox> {
    const step = this.#step = Promise.withResolvers<FromSandbox>();
    if (this.#gone) throw this.#failed("it has ended");
    this.#writer.send(message);
    const answer = await step.promise;
    if (answer.type === "failed") throw this.#failed(answer.reason);
    return answer;
  }

  #failed(detail: string): FshError {
    return new FshError("PLUGIN_FAILED", { subject: this.#options.name, detail });
  }

  async #run(input: WritableStreamDefaultWriter<Uint8Array>): Promise<string> {
    const listening = this.#listenToErrors();
    const reader = this.#child.stdout.getReader({ mode: "byob" });
    try {
      for await (const message of sandboxMessages<FromSandbox>({ read: (buffer) => readSome(reader, buffer) })) {
        this.#take(message);
      }
    } catch (error) {
      this.kill(`what it says can't be understood (${error instanceof Error ? error.message : error})`);
    }
    const { code, signal } = await this.#child.status;
    await listening;
    await input.abort().catch(() => {});
    await reader.cancel().catch(() => {});
    this.#gone = true;
    const why = this.#why ?? (code === TOO_MUCH_MEMORY ? "it took too much memory" : this.#lastWords.trim());
    const reason = why || (signal ? `ended by ${signal}` : `exit status ${code}`);
    for (const resolve of this.#calls.values()) resolve([]);
    this.#calls.clear();
    for (const resolve of this.#pongs.splice(0)) resolve();
    this.#step?.promise.catch(() => {});
    this.#step?.reject(this.#failed(reason));
    return reason;
  }

  #take(message: FromSandbox): void {
    switch (message.type) {
      case "replies": {
        const resolve = this.#calls.get(message.id);
        this.#calls.delete(message.id);
        return resolve?.(message.replies);
      }
      case "log":
        return this.#log[message.level](message.message, message.fields ? { ...message.fields } : undefined);
      case "print":
        return this.#options.print(message.text, this.#options.name);
      case "pong":
        for (const resolve of this.#pongs.splice(0)) resolve();
        return;
      default:
        return this.#step?.resolve(message);
    }
  }

  async #listenToErrors(): Promise<void> {
    for await (const bytes of this.#child.stderr) {
      this.#lastWords = (this.#lastWords + decodeUtf8Loosely(bytes)).slice(-LAST_WORDS);
    }
  }
}

async function readSome(reader: ReadableStreamBYOBReader, buffer: Uint8Array): Promise<number | null> {
  // The reader takes the buffer it is given away, so it gets one of its own.
  const { value, done } = await reader.read(new Uint8Array(buffer.length));
  if (done || !value) return null;
  buffer.set(value);
  return value.length;
}

function decodeUtf8Loosely(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    return "";
  }
}

function environment({ env = [] }: PluginPermissions): Record<string, string> {
  const names = Deno.build.standalone ? env : [...RUNTIME_ENV, ...env];
  const found: Record<string, string> = { NO_COLOR: "1" };
  for (const name of names) {
    const value = Deno.env.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
