// The inside of a sandbox: a Worker without rights, in a process of its own. It talks by way of standard input and output.
import { encodeUtf8 } from "../base/bytes.ts";
import { promiseSteps } from "../base/promise_steps.ts";
import { CallContext } from "./call_context.ts";
import type { HookEvent } from "./event.ts";
import { manifestOf, type Reply } from "./host.ts";
import type { HookContext, OptionValue, Plugin, PluginLog } from "./plugin.ts";
import { asPlugin, hooksOf } from "./plugin_shape.ts";
import { runHook } from "./run_hook.ts";
import { type Call, type PackedCall, unpackCall } from "./sandbox_calls.ts";
import { type FromSandbox, sandboxMessages, type ToSandbox } from "./sandbox_message.ts";
import { SandboxWriter } from "./sandbox_writer.ts";
import { describeThrown } from "./thrown.ts";

/** Bytes of one line that a plugin may print or log. */
const MOST_TEXT = 64 * 1024;
/** Milliseconds for which hooks may hold up the answers that are there. */
const HELD_UP = 10;
/** Steps of promises after which the answer of an `async` hook that waits for nothing is there. */
const ANSWERED = 4;

const stdin = Deno.stdin;
const stdout = Deno.stdout;
// Handing it to another thread takes longer, and the server reads whatever happens.
const writer = new SandboxWriter((frame) => {
  for (let at = 0; at < frame.length;) at += stdout.writeSync(frame.subarray(at));
});
const send = (message: FromSandbox) => writer.send(message);
/** Of calls that wait for something. */
const running = new Map<number, readonly CallContext[]>();
let modules: readonly (readonly [string, string])[] = [];
let plugin: Plugin | null = null;
let options: Readonly<Record<string, OptionValue>> = {};
/** When answers last had a turn to go, as `performance.now()` has it. */
let breathed = 0;

const log: PluginLog = {
  error: (message, fields) => tell("error", message, fields),
  warn: (message, fields) => tell("warn", message, fields),
  info: (message, fields) => tell("info", message, fields),
  debug: (message, fields) => tell("debug", message, fields),
};

function tell(level: "error" | "warn" | "info" | "debug", message: string, fields?: Parameters<PluginLog["info"]>[1]) {
  send({ type: "log", level, message: String(message).slice(0, MOST_TEXT), ...(fields ? { fields } : {}) });
}

confine();
for await (const messages of sandboxMessages<ToSandbox>(stdin)) {
  breathed = performance.now();
  // Calls begin in one turn, so that the answers that are there at once go together, unless that takes long.
  for (const message of messages) {
    if (message.type !== "call" && message.type !== "calls") await take(message);
    else for (const _ of call(message.type === "call" ? message : unpackCall(message))) await breathe();
  }
}

/** Lets the answers that are there go. */
async function breathe(): Promise<void> {
  await promiseSteps(ANSWERED);
  await writer.flushed();
  breathed = performance.now();
}

async function take(message: Exclude<ToSandbox, Call | PackedCall>): Promise<void> {
  switch (message.type) {
    case "load":
      modules = message.modules;
      return await load(message.entry);
    case "start":
      options = message.options;
      return await attempt(async () => {
        await plugin?.start?.({ options, log });
        send({ type: "started" });
      });
    case "abort":
      return running.get(message.id)?.forEach((context) => context.abort());
    case "ping":
      return send({ type: "pong" });
    case "stop":
      await attempt(async () => await plugin?.stop?.());
      send({ type: "stopped" });
      await writer.flushed();
  }
}

async function load(entry: string): Promise<void> {
  await attempt(async () => {
    plugin = asPlugin((await import(entry)).default);
    // What can't be told as JSON is not told.
    send({ type: "loaded", manifest: manifestOf(plugin, hooksOf(plugin)) });
  });
}

/** Replies that are there at once go together; each of the others as soon as it is there. Pauses where hooks take long. */
function* call({ id, hook, events }: Call): Generator<void> {
  const hooks = plugin?.hooks as Readonly<Record<string, (event: HookEvent, context: HookContext) => unknown>>;
  const contexts = events.map(() => new CallContext(options, log));
  let open = 0;
  let replies: Reply[] = [];
  const flush = (end: number) => {
    if (replies.length > 0) send({ type: "replies", id, at: end - replies.length, replies });
    replies = [];
  };
  for (let index = 0; index < events.length; index++) {
    const [event, context] = [events[index] as HookEvent, contexts[index] as CallContext];
    const reply = runHook(() => hooks[hook]?.(event, context), describeInSource);
    if (!(reply instanceof Promise)) {
      context.end();
      replies.push(reply);
    } else {
      flush(index);
      if (++open === 1) running.set(id, contexts);
      reply.then((reply) => {
        context.end();
        if (--open === 0) running.delete(id);
        send({ type: "replies", id, at: index, replies: [reply] });
      });
    }
    if (performance.now() - breathed < HELD_UP) continue;
    flush(index + 1);
    yield;
  }
  flush(events.length);
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    send({ type: "failed", reason: describe(error) });
  }
}

function describe(error: unknown): string {
  return describeThrown(error, describeInSource);
}

/** The error with file and line of the plugin's own source, without what lies around it. May throw where the error does. */
function describeInSource(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines = (error.stack ?? `${error.name}: ${error.message}`).split("\n").map(inSource);
  const own = lines.filter((line, index) => index === 0 || modules.some(([, file]) => line.includes(file)));
  return own.join("\n");
}

function inSource(line: string): string {
  let named = line;
  for (const [name, file] of modules) named = named.replaceAll(name, file).replaceAll(`file://${file}`, file);
  return named;
}

/** Takes away what leads out of the sandbox past its permissions, and sends what is printed to the server. */
function confine(): void {
  for (const name of ["Worker", "process", "caches", "localStorage", "sessionStorage", "close", "postMessage"]) {
    Reflect.deleteProperty(globalThis, name);
  }
  // The engine room: it would make code out of text, which could import any module of the machine.
  Reflect.deleteProperty(Deno, (Deno as unknown as { internal: symbol }).internal);
  Reflect.deleteProperty(Deno, "internal");
  // Drivers of the graphics card, which know of no permissions.
  Reflect.deleteProperty(Object.getPrototypeOf(navigator), "gpu");
  const print = (...values: unknown[]) => send({ type: "print", text: text(values) });
  const warn = (...values: unknown[]) => tell("warn", text(values));
  Object.assign(console, { log: print, info: print, debug: print, warn, error: warn, trace: warn });
  Object.defineProperty(Deno, "exit", {
    value: () => {
      throw new Error("a plugin can't end the server");
    },
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    tell("error", `a promise of the plugin was rejected: ${describe(event.reason)}`);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    tell("error", `an error of the plugin was not caught: ${describe(event.error)}`);
  });
}

function text(values: readonly unknown[]): string {
  const words = values.map((value) => typeof value === "string" ? value : Deno.inspect(value));
  const line = words.join(" ");
  return encodeUtf8(line).length > MOST_TEXT ? line.slice(0, MOST_TEXT / 4) + "…" : line;
}
