import { promiseSteps } from "../base/promise_steps.ts";
import type { Soon } from "../base/soon.ts";
import { encodeSandboxMessages, type FromSandbox, hasBytes, type ToSandbox } from "./sandbox_message.ts";
import { describeThrown } from "./thrown.ts";

type Message = ToSandbox | FromSandbox;

/** Bytes in which most messages fit. */
const ROOM = 16 * 1024;
/** Steps of promises for which a message waits for others of its turn. */
const GATHER = 4;
/** Events, replies and other messages that go together at the most. */
const TOGETHER = 256;
/** Bytes beyond which what could go by itself does not go together: far less than either side takes. */
const MOST_TOGETHER = 1024 * 1024;

/** Writes messages one behind the other; those that wait at the same time go together. */
export class SandboxWriter {
  readonly #write: (frame: Uint8Array) => Soon<void>;
  readonly #room = new Uint8Array(ROOM);
  #waiting: Message[] = [];
  #writing = false;
  #written: Promise<void> = Promise.resolve();

  /** `write` writes all of a frame, at once or until its promise resolves. */
  constructor(write: (frame: Uint8Array) => Soon<void>) {
    this.#write = write;
  }

  /** Never rejects: whoever reads notices that the other side has gone. */
  send(message: Message): void {
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
      await promiseSteps(GATHER);
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
  #next(): Message[] {
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

function weightOf(message: Message): number {
  if (message.type === "call") return message.events.length;
  return message.type === "replies" ? message.replies.length : 1;
}

/**
 * What some messages become on their way: one frame where that can be told and is not too much, otherwise the frames of
 * either half. A frame in `room` is to be written before the next is asked for.
 */
function* framesOf(messages: readonly Message[], room: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  const frame = encode(messages, room);
  const isWhole = frame instanceof Uint8Array;
  if (isWhole && frame.length <= MOST_TOGETHER) return yield frame;
  const halves = halve(messages);
  if (halves) { for (const half of halves) yield* framesOf(half, room); }
  else if (isWhole) yield frame;
  else {
    const told = insteadOf(messages[0], frame.failure);
    if (told) yield encodeSandboxMessages([told], room);
  }
}

function encode(messages: readonly Message[], room: Uint8Array<ArrayBuffer>) {
  try {
    return encodeSandboxMessages(messages, room);
  } catch (error) {
    return { failure: describeThrown(error) };
  }
}

/** Null: it is one message, of one reply at the most. */
function halve(messages: readonly Message[]): [Message[], Message[]] | null {
  const [message] = messages;
  if (messages.length > 1) {
    const middle = messages.length >> 1;
    return [messages.slice(0, middle), messages.slice(middle)];
  }
  if (message?.type !== "replies" || message.replies.length < 2) return null;
  const { at, replies } = message;
  const middle = replies.length >> 1;
  const first = { ...message, replies: replies.slice(0, middle) };
  return [[first], [{ ...message, at: at + middle, replies: replies.slice(middle) }]];
}

/** What can be told of a message that can't, with a BigInt or a circle in it. */
function insteadOf(message: Message | undefined, failure: string): Message | null {
  switch (message?.type) {
    case "replies":
      return { ...message, replies: [{ failure }] };
    case "loaded":
      return { type: "failed", reason: failure };
    case "log": {
      const { level, message: text } = message;
      return { type: "log", level, message: `${text} (its fields can't be told: ${failure})` };
    }
    default:
      return null;
  }
}
