import { concatBytes, decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Soon } from "../base/soon.ts";
import type { Manifest, Reply } from "./host.ts";
import type { OptionValue } from "./plugin.ts";
import { type Call, packCall, type PackedCall } from "./sandbox_calls.ts";
import { describeThrown } from "./thrown.ts";

/** What the server tells a sandbox. */
export type ToSandbox =
  | { readonly type: "load"; readonly entry: string; readonly modules: readonly (readonly [string, string])[] }
  | { readonly type: "start"; readonly options: Readonly<Record<string, OptionValue>> }
  | Call
  | PackedCall
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "ping" }
  | { readonly type: "stop" };

/** What a sandbox tells the server. */
export type FromSandbox =
  | { readonly type: "loaded"; readonly manifest: Manifest }
  | { readonly type: "started" }
  | { readonly type: "failed"; readonly reason: string }
  /** To the events of a call from number `at` on. */
  | { readonly type: "replies"; readonly id: number; readonly at: number; readonly replies: readonly Reply[] }
  | {
    readonly type: "log";
    readonly level: "error" | "warn" | "info" | "debug";
    readonly message: string;
    readonly fields?: Readonly<Record<string, string | number | boolean>>;
  }
  | { readonly type: "print"; readonly text: string }
  | { readonly type: "pong" }
  | { readonly type: "stopped" };

/** Most bytes of a message's text, and of the bytes behind it. */
const MOST = 64 * 1024 * 1024;
/** The same for what a sandbox says, which has no bytes: the server's memory is not the plugin's. */
export const MOST_SAID = 8 * 1024 * 1024;
const HEAD = 8;
/** Bytes of a character in UTF-8, per unit of JavaScript's strings at the most. */
const MOST_UTF8 = 3;
/** Bytes in which most messages fit. */
const ROOM = 16 * 1024;
/** Bytes that one read asks for. */
const READ = 64 * 1024;

const encoder = new TextEncoder();

/** Steps of promises for which a message waits for others of its turn. */
const GATHER = 4;
/** Events, replies and other messages that go together at the most. */
const TOGETHER = 256;
/** Bytes beyond which what could go by itself does not go together: far less than either side takes. */
const MOST_TOGETHER = 1024 * 1024;

/**
 * Some messages: u32 length of the text, u32 length of the bytes, both big-endian, a JSON list, bytes. The chunks of events
 * travel as bytes, in the order in which they occur; other calls are packed. They are put into `room` where they fit.
 */
export function encodeSandboxMessages(
  messages: readonly (ToSandbox | FromSandbox)[],
  room: Uint8Array<ArrayBuffer> = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  // Without a function to ask for each property JSON takes a fraction of the time.
  const json = messages.some(hasBytes)
    ? JSON.stringify(messages, (_, value) => {
      if (!(value instanceof Uint8Array)) return value;
      chunks.push(value);
      return { $bytes: value.length };
    })
    : JSON.stringify(messages.map((message) => message.type === "call" ? packCall(message) : message));
  if (chunks.length === 0 && HEAD + MOST_UTF8 * json.length <= room.length) {
    const { written } = encoder.encodeInto(json, room.subarray(HEAD));
    writeHead(room, { text: written, bytes: 0 });
    return room.subarray(0, HEAD + written);
  }
  const text = encodeUtf8(json);
  const head = new Uint8Array(HEAD);
  writeHead(head, { text: text.length, bytes: chunks.reduce((sum, { length }) => sum + length, 0) });
  return concatBytes([head, text, ...chunks]);
}

function writeHead(into: Uint8Array, { text, bytes }: { text: number; bytes: number }): void {
  const view = new DataView(into.buffer, into.byteOffset, HEAD);
  view.setUint32(0, text);
  view.setUint32(4, bytes);
}

/**
 * What some messages become on their way: one frame where that can be told and is not too much, otherwise the frames of
 * either half. A frame in `room` is to be written before the next is asked for.
 */
function* framesOf(
  messages: readonly (ToSandbox | FromSandbox)[],
  room: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>> {
  const halves = halve(messages);
  const frame = encode(messages, room);
  if (frame instanceof Uint8Array && (frame.length <= MOST_TOGETHER || !halves)) yield frame;
  else if (halves) { for (const half of halves) yield* framesOf(half, room); }
  else if (!(frame instanceof Uint8Array)) yield* insteadOf(messages[0], frame.failure, room);
}

function encode(messages: readonly (ToSandbox | FromSandbox)[], room: Uint8Array<ArrayBuffer>) {
  try {
    return encodeSandboxMessages(messages, room);
  } catch (error) {
    return { failure: describeThrown(error) };
  }
}

/** Null: it is one message, of one reply at the most. */
function halve(messages: readonly (ToSandbox | FromSandbox)[]): (ToSandbox | FromSandbox)[][] | null {
  const [message] = messages;
  if (messages.length > 1) {
    const middle = messages.length >> 1;
    return [messages.slice(0, middle), messages.slice(middle)];
  }
  if (message?.type !== "replies" || message.replies.length < 2) return null;
  const { at, replies } = message;
  const middle = replies.length >> 1;
  return [
    [{ ...message, replies: replies.slice(0, middle) }],
    [{ ...message, at: at + middle, replies: replies.slice(middle) }],
  ];
}

/** For a message that can't be told, with a BigInt or a circle in it: what can be told of it. */
function* insteadOf(
  message: ToSandbox | FromSandbox | undefined,
  failure: string,
  room: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>> {
  if (message?.type === "replies") yield encodeSandboxMessages([{ ...message, replies: [{ failure }] }], room);
  else if (message?.type === "loaded") yield encodeSandboxMessages([{ type: "failed", reason: failure }], room);
  else if (message?.type === "log") {
    const { level, message: text } = message;
    yield encodeSandboxMessages(
      [{ type: "log", level, message: `${text} (its fields can't be told: ${failure})` }],
      room,
    );
  }
}

function hasBytes(message: ToSandbox | FromSandbox): boolean {
  return message.type === "call" && message.hook === "content";
}

/**
 * Messages out of a byte stream, until it ends, as they were put together; `most`: bytes of what goes together.
 *
 * @throws {TypeError} where the bytes are no messages
 */
export async function* sandboxMessages<M>(
  source: { read(buffer: Uint8Array): Promise<number | null> },
  most: number = MOST,
): AsyncGenerator<readonly M[]> {
  let buffer = new Uint8Array(READ);
  let start = 0;
  let end = 0;
  for (;;) {
    for (;;) {
      const whole = messageLength(buffer.subarray(start, end), most);
      if (whole === null || end - start < whole) break;
      const messages = decode(buffer.subarray(start, start + whole));
      if (!Array.isArray(messages)) throw new TypeError("not messages of a sandbox");
      start += whole;
      yield messages as M[];
    }
    const due = messageLength(buffer.subarray(start, end), most) ?? 0;
    if (start > 0 && (start === end || buffer.length - start < due || buffer.length === end)) {
      buffer.copyWithin(0, start, end);
      end -= start;
      start = 0;
    }
    if (buffer.length < due || buffer.length === end) {
      const larger = new Uint8Array(Math.max(due, 2 * buffer.length));
      larger.set(buffer.subarray(start, end));
      end -= start;
      start = 0;
      buffer = larger;
    }
    const read = await source.read(buffer.subarray(end));
    if (read === null) return;
    end += read;
  }
}

function messageLength(bytes: Uint8Array, most: number): number | null {
  if (bytes.length < HEAD) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [text, blob] = [view.getUint32(0), view.getUint32(4)];
  if (text > most || blob > most) throw new TypeError("not a message of a sandbox");
  return HEAD + text + blob;
}

function decode(message: Uint8Array): unknown {
  const text = new DataView(message.buffer, message.byteOffset).getUint32(0);
  const json = decodeUtf8(message.subarray(HEAD, HEAD + text));
  // A chunk may be empty: then it takes no bytes, and is one all the same.
  if (message.length === HEAD + text && !json.includes('"$bytes"')) return JSON.parse(json);
  let at = HEAD + text;
  return JSON.parse(json, (name, value) => {
    // Nothing else of that name is an object: so nobody's own facts are taken for bytes.
    if (name !== "chunk" || typeof value?.$bytes !== "number") return value;
    return message.slice(at, at += value.$bytes);
  });
}

/** Writes messages one behind the other; those that wait at the same time go together. */
export class SandboxWriter {
  readonly #write: (frame: Uint8Array) => Soon<void>;
  readonly #room = new Uint8Array(ROOM);
  #waiting: (ToSandbox | FromSandbox)[] = [];
  #writing = false;
  #written: Promise<void> = Promise.resolve();

  /** `write` writes all of a frame, at once or until its promise resolves. */
  constructor(write: (frame: Uint8Array) => Soon<void>) {
    this.#write = write;
  }

  /** Never rejects: whoever reads notices that the other side has gone. */
  send(message: ToSandbox | FromSandbox): void {
    this.#waiting.push(message);
    if (!this.#writing) this.#written = this.#run();
  }

  /** Resolves once all is written. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#written;
  }

  async #run(): Promise<void> {
    this.#writing = true;
    try {
      // What comes of one read goes in one write: with many requests at once that is most of the cost.
      for (let step = 0; step < GATHER; step++) await null;
      while (this.#waiting.length > 0) {
        for (const frame of framesOf(this.#next(), this.#room)) await this.#write(frame);
      }
    } catch {
      this.#waiting = [];
    } finally {
      // Here and not a turn later: a message that came in between would wait for the next.
      this.#writing = false;
    }
  }

  /** What goes next: some small messages, or one with bytes. */
  #next(): (ToSandbox | FromSandbox)[] {
    let weight = 0;
    let count = 0;
    for (const message of this.#waiting) {
      weight += weightOf(message);
      if (count > 0 && (weight > TOGETHER || hasBytes(message))) break;
      count++;
      if (hasBytes(message)) break;
    }
    return this.#waiting.splice(0, count);
  }
}

function weightOf(message: ToSandbox | FromSandbox): number {
  if (message.type === "call") return message.events.length;
  return message.type === "replies" ? message.replies.length : 1;
}
