import { BufferPool } from "../base/buffer_pool.ts";
import { FshError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";

/** Control frames that may wait at once, in bytes; a peer that causes more without reading the answers is refused. */
const MAX_CONTROL = 64 * 1024;
/** Frames are gathered into one write up to this many bytes. */
const GATHER = 64 * 1024;

const NOTHING = new Uint8Array(0);
/** Where frames are put together; few sessions do so at the same time, unless their peers take nothing. */
const gathers = new BufferPool(GATHER, 4);

interface Waiting {
  readonly bytes: Uint8Array;
  /** What follows the bytes. */
  readonly region: FileRegion | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What to write next: one buffer, a piece of a file behind it, and whose frames they are. */
export interface Batch {
  readonly bytes: Uint8Array;
  readonly region: FileRegion | undefined;
  written(): void;
  failed(error: Error): void;
}

/**
 * Frames on their way to the connection. Control frames overtake all others; streams take turns, a frame each, and
 * keep their own order. Small frames are gathered so that many cost one write; a large one is written where it stands.
 * It holds no more than its callers wait for: every stream frame has somebody awaiting it.
 */
export class SendQueue {
  readonly #streams = new Map<number, Waiting[]>();
  /** Control frames, one behind the other. */
  #control: Uint8Array = NOTHING;
  #controlBytes = 0;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;

  get empty(): boolean {
    return this.#control.length === 0 && this.#streams.size === 0;
  }

  /** @throws {FshError} FLOOD when too many wait already */
  pushControl(bytes: Uint8Array): void {
    if (this.#failure) return;
    const total = this.#controlBytes + bytes.length;
    if (total > MAX_CONTROL) throw new FshError("FLOOD");
    if (this.#controlBytes === 0) this.#control = bytes;
    else {
      if (total > this.#control.length) {
        const larger = new Uint8Array(Math.min(2 * total, MAX_CONTROL));
        larger.set(this.#control);
        this.#control = larger;
      }
      this.#control.set(bytes, this.#controlBytes);
    }
    this.#controlBytes = total;
    this.wake();
  }

  /** Resolves when the frame has been handed to the system; until then `bytes` must stay as they are. */
  push(stream: number, bytes: Uint8Array, region?: FileRegion): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const waiting = { bytes, region, resolve, reject };
      const queue = this.#streams.get(stream);
      if (queue) queue.push(waiting);
      else this.#streams.set(stream, [waiting]);
      this.wake();
    });
  }

  /** Takes back what a stream has not sent yet; answers how many frames that were. */
  drop(stream: number, error: Error): number {
    const queue = this.#streams.get(stream) ?? [];
    this.#streams.delete(stream);
    for (const waiting of queue) waiting.reject(error);
    return queue.length;
  }

  /** Nothing more will be sent. */
  fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#control = NOTHING;
    this.#controlBytes = 0;
    for (const stream of [...this.#streams.keys()]) this.drop(stream, error);
    this.wake();
  }

  /** Resolves when there is something to take, or the queue has failed. */
  async ready(): Promise<void> {
    if (!this.empty || this.#failure) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What to write next, or null. */
  take(): Batch | null {
    const owners: Waiting[] = [];
    let bytes = this.#controlBytes;
    const frames: Uint8Array[] = bytes > 0 ? [this.#control.subarray(0, bytes)] : [];
    let region: FileRegion | undefined;
    this.#control = NOTHING;
    this.#controlBytes = 0;
    for (const [stream, queue] of this.#streams) {
      const next = queue[0] as Waiting;
      if (frames.length > 0 && bytes + next.bytes.length > GATHER) break;
      queue.shift();
      // Deleted and set again, a stream goes to the end of the Map's order: taking turns.
      this.#streams.delete(stream);
      if (queue.length > 0) this.#streams.set(stream, queue);
      frames.push(next.bytes);
      owners.push(next);
      bytes += next.bytes.length;
      region = next.region;
      if (bytes >= GATHER || region) break;
    }
    const first = frames[0];
    if (first === undefined) return null;
    const gathered = frames.length === 1 ? null : gather(frames);
    const done = () => gathered && gathers.give(gathered);
    return {
      bytes: gathered?.subarray(0, bytes) ?? first,
      region,
      written: () => (done(), owners.forEach((owner) => owner.resolve())),
      failed: (error) => (done(), owners.forEach((owner) => owner.reject(error))),
    };
  }

  /** Makes `ready` resolve although there is nothing to take. */
  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

/** All of them in one buffer of the pool: GATHER bytes at the most, as MAX_CONTROL is no more. */
function gather(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const into = gathers.take();
  let at = 0;
  for (const frame of frames) {
    into.set(frame, at);
    at += frame.length;
  }
  return into;
}
