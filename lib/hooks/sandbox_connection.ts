import { dirname } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { HookEvent } from "./event.ts";
import type { HookName } from "./hooks.ts";
import { type Asker, failAll, type Manifest } from "./host.ts";
import { PendingCalls } from "./pending_calls.ts";
import type { OptionValue, PluginPermissions } from "./plugin.ts";
import type { PluginSource } from "./plugin_source.ts";
import { Allowance } from "./allowance.ts";
import { type FromSandbox, MOST_SAID, sandboxMessages, type ToSandbox } from "./sandbox_message.ts";
import { killGroup, SERVER_PID, TOO_MUCH_MEMORY } from "./sandbox_process.ts";
import { readSaid } from "./sandbox_said.ts";
import { SandboxWriter } from "./sandbox_writer.ts";

/** Milliseconds that a plugin has for its `stop`. */
const STOP_LIMIT = 2_000;
/** Milliseconds after which a call that was aborted gets no answer any more. */
const ABORT_LIMIT = 1_000;
/** Milliseconds for what was said last to arrive, once the process has ended: others may hold its pipes open. */
const ECHO = 500;
/** Characters per second that a plugin may log and print; and what a line costs beside its text. */
const SAID_PER_SECOND = 8 * 1024 * 1024;
const LINE_COST = 256;
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
  readonly #calls = new PendingCalls();
  #log: Log;
  #name: string;
  readonly #allowance = new Allowance(SAID_PER_SECOND);
  #step: PromiseWithResolvers<FromSandbox> | null = null;
  #pongs: (() => void)[] = [];
  #lastWords = "";
  #why: string | null = null;
  #gone = false;

  constructor(options: SandboxConnectionOptions) {
    this.#options = options;
    this.#name = options.name;
    this.#log = options.log.with({ plugin: options.name, unhooked: true });
    this.#child = new Deno.Command(options.command, {
      args: [...options.args],
      cwd: dirname(options.file),
      // A group of its own: Ctrl-C is for the server, and what the plugin has started ends with it.
      detached: true,
      clearEnv: true,
      env: environment(options.permissions),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const input = this.#child.stdin.getWriter();
    this.#writer = new SandboxWriter((frame) => input.write(frame));
    this.ended = this.#run(input);
  }

  /** What it is called in the log from now on. */
  set name(name: string) {
    this.#name = name;
    this.#log = this.#options.log.with({ plugin: name, unhooked: true });
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
    const answer = await this.#ask({ type: "start", options });
    if (answer.type !== "started") throw this.#failed("it did not start");
  }

  call(hook: HookName, events: readonly HookEvent[], asker: Asker): void {
    if (this.#gone) return failAll(events.length, { asker, failure: "it has ended" });
    const id = this.#calls.add(events.length, asker);
    asker.deadline.onPass(() => {
      if (this.#calls.expire(id, ABORT_LIMIT)) this.#writer.send({ type: "abort", id });
    });
    this.#writer.send({ type: "call", id, hook, events });
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
    if (!this.#gone) killGroup(this.#child.pid);
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
    return new FshError("PLUGIN_FAILED", { subject: this.#name, detail });
  }

  async #run(input: WritableStreamDefaultWriter<Uint8Array>): Promise<string> {
    const output = this.#child.stdout.getReader({ mode: "byob" });
    const errors = this.#child.stderr.getReader();
    const heard = Promise.all([this.#listen(output), this.#listenToErrors(errors)]);
    const { code, signal } = await this.#child.status;
    // The programs that it has started.
    if (this.#options.permissions.run?.length) killGroup(this.#child.pid);
    this.#gone = true;
    let timer: number | undefined;
    await Promise.race([heard, new Promise((resolve) => timer = setTimeout(resolve, ECHO))]);
    clearTimeout(timer);
    await Promise.allSettled([output.cancel(), errors.cancel(), input.abort(), heard]);
    const why = this.#why ?? (code === TOO_MUCH_MEMORY ? "it took too much memory" : this.#lastWords.trim());
    const reason = why || (signal ? `ended by ${signal}` : `exit status ${code}`);
    this.#calls.endAll();
    for (const resolve of this.#pongs.splice(0)) resolve();
    this.#step?.promise.catch(() => {});
    this.#step?.reject(this.#failed(reason));
    return reason;
  }

  async #listen(output: ReadableStreamBYOBReader): Promise<void> {
    try {
      for await (const messages of sandboxMessages<unknown>(new Pipe(output), MOST_SAID)) {
        // What was asked together goes on together, without a turn in between: the rest of the server gathers it likewise.
        for (const message of messages) {
          const pause = this.#allowance.spend(this.#take(readSaid(message)));
          // Unread, it stays in the pipe: the plugin waits, and the server has time for others.
          if (pause > 0 && !this.#gone) await new Promise((resolve) => setTimeout(resolve, pause));
        }
      }
    } catch (error) {
      this.kill(`what it says can't be understood (${error instanceof Error ? error.message : error})`);
    }
  }

  /** Answers what it costs: nothing, where it was asked for. */
  #take(message: FromSandbox): number {
    switch (message.type) {
      case "replies":
        return this.#calls.answered(message.id, message) ? 0 : LINE_COST;
      case "log":
        this.#log[message.level](message.message, { ...message.fields });
        return LINE_COST + message.message.length + JSON.stringify(message.fields).length;
      case "print":
        this.#options.print(message.text, this.#name);
        return LINE_COST + message.text.length;
      case "pong": {
        const waiting = this.#pongs.splice(0);
        for (const resolve of waiting) resolve();
        return waiting.length > 0 ? 0 : LINE_COST;
      }
      default:
        this.#step?.resolve(message);
        return LINE_COST;
    }
  }

  async #listenToErrors(errors: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await errors.read();
      if (done) return;
      this.#lastWords = (this.#lastWords + decoder.decode(value, { stream: true })).slice(-LAST_WORDS);
      const pause = this.#allowance.spend(value.length);
      if (pause > 0 && !this.#gone) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Reads by way of one buffer that the stream is lent, again and again. */
class Pipe {
  readonly #reader: ReadableStreamBYOBReader;
  #lent = new Uint8Array(64 * 1024);

  constructor(reader: ReadableStreamBYOBReader) {
    this.#reader = reader;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const { value, done } = await this.#reader.read(this.#lent.subarray(0, Math.min(buffer.length, this.#lent.length)));
    if (done || !value) return null;
    this.#lent = new Uint8Array(value.buffer);
    buffer.set(value);
    return value.length;
  }
}

function environment({ env = [] }: PluginPermissions): Record<string, string> {
  const names = Deno.build.standalone ? env : [...RUNTIME_ENV, ...env];
  const found: Record<string, string> = { NO_COLOR: "1", [SERVER_PID]: String(Deno.pid) };
  for (const name of names) {
    const value = Deno.env.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
