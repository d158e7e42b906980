import { createDigest } from "../base/digest.ts";
import { FshError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Sink } from "../session/command.ts";
import { classicSize } from "../wire/classic.ts";
import type { Message } from "../wire/codec.ts";
import { type FrameFields, type FrameName, HEADER_BYTES, MAX_DATA } from "../wire/frames.ts";
import { ClassicNames } from "./classic_names.ts";
import type { ClassicWire } from "./classic_wire.ts";
import type { ServedStream } from "./served.ts";

export interface ClassicStreamOptions {
  readonly id: number;
  readonly wire: ClassicWire;
  readonly memory: MemoryAccount;
  readonly zeroCopy: boolean;
  /** Bytes that follow the command: a put's. */
  readonly incoming: number;
}

/**
 * One classic command as the commands of FSH/1 see it: what they say in frames is said in the classic protocol, as far as
 * that has words for it. So both protocols have the same rules, limits, events and files.
 */
export class ClassicStream implements ServedStream {
  readonly id: number;
  readonly chunkSize = MAX_DATA;
  /** The wire itself makes whoever sends wait. */
  readonly credit = Infinity;
  readonly memory: MemoryAccount;
  readonly sendsRegions: boolean;
  /** Whether something of the answer has gone out. */
  begun = false;
  readonly #wire: ClassicWire;
  readonly #incoming: number;
  readonly #givenUp = new AbortController();
  readonly #names: ClassicNames;
  /** The size of a file, which goes out with its first bytes. */
  #size: Uint8Array<ArrayBuffer> | null = null;

  constructor({ id, wire, memory, zeroCopy, incoming }: ClassicStreamOptions) {
    this.id = id;
    this.memory = memory;
    this.sendsRegions = zeroCopy && wire.sendsRegions;
    this.#wire = wire;
    wire.begin();
    this.#incoming = incoming;
    this.#names = new ClassicNames(memory);
  }

  /** Bytes of content, so far. */
  get moved(): number {
    return this.#wire.moved;
  }

  get signal(): AbortSignal {
    return this.#givenUp.signal;
  }

  /** One command runs at a time: there is nothing to set it off against. */
  prioritize(): void {}

  afford(): undefined {}

  async send<N extends FrameName>(name: N, fields: FrameFields<N>): Promise<void> {
    // A name and its fields belong together.
    const message = { name, fields } as unknown as Message;
    switch (message.name) {
      case "ENTRIES":
        for (const entry of message.fields.entries) if (entry.type === "file") this.#names.add(entry.name);
        return;
      case "DONE":
        return await this.#names.send((bytes) => this.#write(bytes));
      case "INFO":
        this.#size = classicSize(message.fields.size);
        return;
      case "END":
        // Of an empty file there is only the size. A put has no answer at all.
        if (this.#size) await this.#write(this.#takeSize());
        return;
      default:
        throw new FshError("INTERNAL", { detail: `no ${name} in the classic protocol` });
    }
  }

  async sendData(frame: Uint8Array): Promise<void> {
    const content = frame.length - HEADER_BYTES;
    if (content === 0) return;
    const size = this.#takeSize();
    // There is room before the payload, which a frame's header would have.
    const begin = HEADER_BYTES - size.length;
    frame.set(size, begin);
    await this.#write(frame.subarray(begin), content);
  }

  async sendRegion(region: FileRegion): Promise<void> {
    this.begun = true;
    await this.#wire.writeRegion(this.#takeSize(), region);
  }

  #takeSize(): Uint8Array<ArrayBuffer> {
    const size = this.#size ?? NOTHING;
    this.#size = null;
    return size;
  }

  async #write(bytes: Uint8Array, content = 0): Promise<void> {
    this.begun = true;
    await this.#wire.write(bytes, content);
  }

  next(): Promise<Message> {
    return Promise.reject(new FshError("INTERNAL", { detail: "a classic client says nothing more" }));
  }

  /** The bytes of a put; the END that FSH/1 has behind them is made here, as the classic protocol has nothing to compare. */
  async drain(sink: Sink, options: { readonly copies?: number } = {}): Promise<Message> {
    const digest = createDigest("crc32");
    const take: Sink = (chunk) => {
      digest.update(chunk);
      return sink(chunk);
    };
    await this.#wire.body(this.#incoming, take, { copies: options.copies ?? 1 });
    const fields = { size: this.#incoming, algorithm: digest.algorithm, digest: digest.finish() };
    return { name: "END", stream: this.id, fin: true, fields };
  }

  cancel(reason: Error): void {
    this.fail(reason);
  }

  /** The command can't go on, nor can the connection: what was said of it can't be taken back. */
  fail(reason: Error): void {
    this.#givenUp.abort(reason);
    this.#wire.fail(reason instanceof FshError ? reason : new FshError("CANCELLED", { cause: reason }));
  }

  [Symbol.dispose](): void {
    this.#names[Symbol.dispose]();
  }
}

const NOTHING = new Uint8Array(0);
