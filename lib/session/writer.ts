import type { Clock } from "../base/clock.ts";
import { toFshError } from "../base/errors.ts";
import { promiseSteps } from "../base/promise_steps.ts";
import { type Connection, writeAll, writeWithRegion } from "../transport/transport.ts";
import { MAX_DATA } from "../wire/frames.ts";
import { SendQueue } from "./send_queue.ts";

/** A write that had to wait this long, in milliseconds, and then went on, shows that the peer takes data. */
const WAITED = 5;
/** A DATA frame should not keep a PING waiting longer than this, in milliseconds, whatever the link. */
const FRAME_TIME = 100;
const MIN_CHUNK = 16 * 1024;
/** Steps of promises for which the first frame waits for others of its turn: a whole small file is then one write. */
const GATHER = 12;

export interface WriterOptions {
  readonly clock: Clock;
  /** The peer took data that had been waiting for room. */
  readonly moved: () => void;
  /** A batch was handed over at this time. */
  readonly written: (now: number) => void;
  /** What to do when there is nothing to write: wait for more, say FIN, or stop without a word. */
  readonly idle: () => "wait" | "finish" | "stop";
}

/** The only writer of a connection: takes what is due from the queue, and learns how fast the link is. */
export class Writer {
  readonly queue = new SendQueue();
  /** Bytes handed over so far. */
  sent = 0;
  readonly #connection: Connection;
  readonly #options: WriterOptions;
  /** Since when the peer could take what is being written; null: nothing is. */
  writingSince: number | null = null;
  #largest = MAX_DATA;
  #chunk = MAX_DATA;

  constructor(connection: Connection, options: WriterOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Largest payload that a DATA frame should have now, in bytes. */
  get chunkSize(): number {
    return this.#chunk;
  }

  /** Sets the largest payload that the peer takes. */
  limit(maxData: number): void {
    this.#largest = maxData;
    this.#chunk = Math.min(this.#chunk, maxData);
  }

  /** Writes until `idle` ends it. Rejects when the connection fails. */
  async run(): Promise<void> {
    const { clock, moved, written, idle } = this.#options;
    for (;;) {
      const batch = this.queue.take();
      if (batch === null) {
        const next = idle();
        if (next === "finish") return await this.#connection.closeWrite();
        if (next === "stop") return;
        await this.queue.ready();
        await promiseSteps(GATHER);
        continue;
      }
      const begun = this.writingSince = clock.now();
      let last = begun;
      try {
        const took = (bytes: number) => {
          this.sent += bytes;
          const now = clock.now();
          if (now - last > WAITED) moved();
          last = now;
        };
        const { bytes, region } = batch;
        if (region) await writeWithRegion(this.#connection, bytes, region, took);
        else await writeAll(this.#connection, bytes, took);
      } catch (error) {
        batch.failed(toFshError(error));
        throw error;
      }
      this.writingSince = null;
      this.#adapt(batch.bytes.length + (batch.region?.length ?? 0), last - begun);
      written(last);
      batch.written();
    }
  }

  /** Sizes DATA frames so that one takes no longer than FRAME_TIME to hand over. */
  #adapt(bytes: number, ms: number): void {
    if (bytes < MIN_CHUNK) return;
    if (ms > FRAME_TIME) this.#chunk = Math.max(MIN_CHUNK, Math.min(this.#chunk, bytes) >> 1);
    else if (ms < FRAME_TIME / 4) this.#chunk = Math.min(this.#largest, this.#chunk << 1);
  }
}
