import { unboundedAccount } from "../../lib/base/memory_budget.ts";
import { FshError } from "../../lib/base/errors.ts";
import type { Stream, StreamHost } from "../../lib/session/stream.ts";
import { decodeMessage, type Message } from "../../lib/wire/codec.ts";
import { type FrameName, HEADER_BYTES } from "../../lib/wire/frames.ts";

/** A session's place, as a stream sees it, that only writes down what the stream asks for. */
export class RecordingHost implements StreamHost {
  readonly sent: FrameName[] = [];
  readonly urged: Message[] = [];
  readonly breaches: FshError[] = [];
  readonly ended: number[] = [];
  readonly memory = unboundedAccount();
  chunkSize = 1024 * 1024;
  roundTrip: number | null = null;
  sendsRegions = false;
  sendsZstd = false;
  time = 0;
  /** While held, frames stay in the queue: their sends do not resolve. */
  held = false;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  transmit(_stream: unknown, name: FrameName): Promise<void> {
    this.sent.push(name);
    if (!this.held) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  share(): number {
    return 1;
  }

  retract(_stream: number, error: Error): number {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
    return waiting.length;
  }

  urge(name: FrameName, bytes: Uint8Array): void {
    this.urged.push(decodeMessage({ name, stream: 0, fin: false, crc: 0, payload: bytes.subarray(HEADER_BYTES) }));
  }

  over(stream: Stream): void {
    this.ended.push(stream.id);
  }

  breach(error: FshError): void {
    this.breaches.push(error);
  }

  now(): number {
    return this.time;
  }

  /** Bytes that the stream has granted its peer so far. */
  get granted(): number {
    return this.urged.reduce((sum, message) => sum + (message.name === "WINDOW" ? message.fields.credit : 0), 0);
  }
}
