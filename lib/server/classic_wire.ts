import { frameBuffers, release } from "../base/buffer_pool.ts";
import type { Clock } from "../base/clock.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import { WaitLimit } from "../base/wait_limit.ts";
import { LEAST_PAYLOAD } from "../commands/send_buffers.ts";
import type { Sink } from "../session/command.ts";
import type { SessionLoad } from "../session/load.ts";
import { type Connection, writeAll } from "../transport/transport.ts";
import { writeWholeRegion } from "../transport/whole_region.ts";

/** What is read at once while no file comes, in bytes: part of every session's share of memory. */
const SMALL = 4096;

/** Milliseconds; 0: for ever. */
export interface ClassicTimeouts {
  /** For the next command to begin. */
  readonly idle: number;
  /** For a command that has begun to be complete, the bytes of a put aside. */
  readonly command: number;
  /** For a transfer to move a byte. */
  readonly stall: number;
}

export interface ClassicWireOptions {
  readonly clock: Clock;
  readonly memory: MemoryAccount;
  readonly timeouts: ClassicTimeouts;
  readonly load?: SessionLoad | undefined;
}

/**
 * One connection with a classic client: its only reader and only writer. Whatever goes wrong on it, a deadline that
 * passes included, ends it for good and is `failure` from then on.
 */
export class ClassicWire {
  /** Bytes that came and went, and of them those of files. */
  received = 0;
  sent = 0;
  carried = 0;
  /** Of these, before the command began. */
  #before = 0;
  /** Why the connection is of no use any more. */
  failure: FshError | null = null;
  readonly #connection: Connection;
  readonly #options: ClassicWireOptions;
  readonly #limit: WaitLimit;
  readonly #buffer = new Uint8Array(SMALL);
  #at = 0;
  #end = 0;

  constructor(connection: Connection, options: ClassicWireOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#limit = new WaitLimit(options.clock, (error) => {
      // Who is only idle has lost nothing.
      if (error.error === "IDLE_TIMEOUT") this.stop(error);
      else this.fail(error);
    });
  }

  /** Since when the client is being waited for; null: it is not. */
  get waitsSince(): number | null {
    return this.#limit.since;
  }

  get sendsRegions(): boolean {
    return this.#connection.writeFile !== undefined;
  }

  /** The next command's first byte; null: the client has said all that it wanted. */
  async command(): Promise<number | null> {
    const { idle } = this.#options.timeouts;
    const late = () => new FshError("IDLE_TIMEOUT", { subject: this.#connection.remote });
    if (this.#at === this.#end && await this.#fill(idle, late) === null) return null;
    return this.#buffer[this.#at++] ?? null;
  }

  /** Takes those of the bytes that are here already and are equal to `byte`; answers how many they were. */
  takeEqual(byte: number): number {
    const begun = this.#at;
    while (this.#at < this.#end && this.#buffer[this.#at] === byte) this.#at++;
    return this.#at - begun;
  }

  /** The next bytes of a command, a view that is good until more is read. @throws {FshError} CONNECTION_LOST, HANDSHAKE_TIMEOUT */
  async take(bytes: number): Promise<Uint8Array> {
    const { timeouts: { command }, clock } = this.#options;
    const until = clock.now() + command;
    const late = () =>
      new FshError("HANDSHAKE_TIMEOUT", { subject: this.#connection.remote, detail: "in the middle of a command" });
    while (this.#end - this.#at < bytes) {
      const left = command === 0 ? 0 : Math.max(1, until - clock.now());
      if (await this.#fill(left, late) === null) throw this.#lost("in the middle of a command");
    }
    const begun = this.#at;
    this.#at += bytes;
    return this.#buffer.subarray(begun, this.#at);
  }

  /** Hands the next `size` bytes to the sink, which makes so many copies of what it is busy with. */
  async body(size: number, sink: Sink, options: { readonly copies: number }): Promise<void> {
    const early = Math.min(size, this.#end - this.#at);
    if (early > 0) {
      const chunk = this.#buffer.subarray(this.#at, this.#at + early);
      this.#at += early;
      await this.#hand(chunk, sink);
    }
    const left = size - early;
    if (left <= 0) return;
    // All that was here is taken.
    if (left <= SMALL) return await this.#receive(left, this.#buffer, sink);
    const { memory } = this.#options;
    const buffers = 1 + options.copies;
    using lease = await memory.take(buffers * LEAST_PAYLOAD, buffers * frameBuffers.size);
    const large = lease.bytes / buffers === frameBuffers.size;
    const buffer = large ? frameBuffers.take() : new Uint8Array(LEAST_PAYLOAD);
    try {
      await this.#receive(left, buffer, sink);
    } finally {
      if (large) frameBuffers.give(buffer);
      else release(buffer);
    }
  }

  async #receive(size: number, buffer: Uint8Array, sink: Sink): Promise<void> {
    for (let left = size; left > 0;) {
      const read = await this.#read(buffer.subarray(0, Math.min(left, buffer.length)), this.#stall, this.#stalled);
      if (read === null) throw this.#lost(`${left} bytes of a put are missing`);
      left -= read;
      await this.#hand(buffer.subarray(0, read), sink);
    }
  }

  async #hand(chunk: Uint8Array, sink: Sink): Promise<void> {
    this.#moves(chunk.length);
    const busy = sink(chunk);
    if (busy) await busy;
  }

  get #stall(): number {
    return this.#options.timeouts.stall;
  }

  readonly #stalled = () => new FshError("STALLED", { subject: this.#connection.remote });

  #lost(detail: string): FshError {
    return this.failure ??= new FshError("CONNECTION_LOST", { subject: this.#connection.remote, detail });
  }

  /** Reads behind what is there. */
  async #fill(limit: number, late: () => FshError): Promise<number | null> {
    if (this.#at > 0) {
      this.#buffer.copyWithin(0, this.#at, this.#end);
      this.#end -= this.#at;
      this.#at = 0;
    }
    const read = await this.#read(this.#buffer.subarray(this.#end), limit, late);
    this.#end += read ?? 0;
    return read;
  }

  async #read(buffer: Uint8Array, limit: number, late: () => FshError): Promise<number | null> {
    const { load } = this.#options;
    while (load?.mustPause && !this.failure) await load.pause();
    const begun = performance.now();
    const read = await this.#awaiting(limit, late, () => this.#connection.read(buffer));
    if (read === null) return null;
    this.received += read;
    load?.read(read, performance.now() - begun);
    return read;
  }

  /** A command begins. */
  begin(): void {
    this.#before = this.carried;
  }

  /** Bytes of content of the command, so far. */
  get moved(): number {
    return this.carried - this.#before;
  }

  #moves(bytes: number): void {
    this.#options.load?.moved(bytes, this.moved);
    this.carried += bytes;
  }

  /** Sends bytes; `content`: how many of them are a file's. */
  write(bytes: Uint8Array, content = 0): Promise<void> {
    if (content > 0) this.#moves(content);
    return this.#send(() => writeAll(this.#connection, bytes, this.#moved));
  }

  /** Sends bytes and a piece of a file behind them. */
  writeRegion(bytes: Uint8Array, region: FileRegion): Promise<void> {
    this.#moves(region.length);
    return this.#send(() => writeWholeRegion(this.#connection, bytes, { region, moved: this.#moved }));
  }

  #send(work: () => Promise<void>): Promise<void> {
    return this.#awaiting(this.#stall, this.#stalled, work);
  }

  readonly #moved = (bytes: number) => {
    this.sent += bytes;
    this.#limit.extend(this.#stall);
  };

  async #awaiting<T>(limit: number, late: () => FshError, work: () => Promise<T>): Promise<T> {
    if (this.failure) throw this.failure;
    this.#limit.begin(limit, late);
    try {
      return await work();
    } catch (error) {
      throw this.failure ??= toFshError(error);
    } finally {
      this.#limit.end();
    }
  }

  /** Ends the connection abruptly; whoever waits for it is told why. */
  fail(error: FshError): void {
    this.failure ??= error;
    this.#connection.abort();
  }

  /** Ends the connection in order; whoever waits for it is told why. */
  stop(error: FshError): void {
    this.failure ??= error;
    this.#connection.close();
  }

  /** Says FIN and lets the client read what it was sent, for `limit` milliseconds and so many bytes of its at the most. */
  async bow({ limit, bytes }: { readonly limit: number; readonly bytes: number }): Promise<void> {
    const cancel = this.#options.clock.after(limit, () => this.#connection.close());
    try {
      await this.#connection.closeWrite();
      // What it has sent is read, or closing would be a reset that takes the answers away (RFC 2525, section 2.17).
      for (let left = bytes; left > 0;) {
        const read = await this.#connection.read(this.#buffer);
        if (read === null) break;
        this.received += read;
        left -= read;
      }
    } catch {
      // Gone is what we wait for.
    } finally {
      cancel();
    }
  }

  /** May be called again. */
  close(): void {
    this.#limit.stop();
    this.#connection.close();
  }
}
