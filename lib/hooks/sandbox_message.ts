import { concatBytes, decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Manifest, Reply } from "./host.ts";
import type { OptionValue } from "./plugin.ts";
import { type Call, packCall, type PackedCall } from "./sandbox_calls.ts";

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
/** Bytes that one read asks for. */
const READ = 64 * 1024;

const encoder = new TextEncoder();

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

/** Whether bytes go behind its text. */
export function hasBytes(message: ToSandbox | FromSandbox): boolean {
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
