import { type Clock, systemClock } from "../base/clock.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";
import { WaitLimit } from "../base/wait_limit.ts";
import { type Connection, writeAll } from "../transport/transport.ts";
import { writeWholeRegion } from "../transport/whole_region.ts";
import { CLASSIC, COUNT_BYTES, readClassicCount, readClassicSize, SIZE_BYTES } from "../wire/classic.ts";

/** More than one byte shows that what comes is no answer to a PING alone. */
const AFTER_PING = 64;

export interface ClassicLinkOptions {
  /** Milliseconds that the server may let a read or a write wait; 0: for ever. */
  readonly stall: number;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

/** One connection with a classic server, from the client's side. After any failure only `abort` is left. */
export class ClassicLink {
  readonly #connection: Connection;
  readonly #options: ClassicLinkOptions;
  readonly #limit: WaitLimit;
  readonly #interrupt = () => this.#fail(new FshError("INTERRUPTED"));
  #failure: FshError | null = null;

  constructor(connection: Connection, options: ClassicLinkOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#limit = new WaitLimit(options.clock ?? systemClock, (error) => this.#fail(error));
    options.signal?.addEventListener("abort", this.#interrupt);
    if (options.signal?.aborted) this.#interrupt();
  }

  /** `address:port` of the server. */
  get remote(): string {
    return this.#connection.remote;
  }

  get sendsRegions(): boolean {
    return this.#connection.writeFile !== undefined;
  }

  /** Some bytes; null: the server has closed its side. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#awaiting(() => this.#connection.read(buffer));
  }

  /** Fills the buffer; `what`: for the error. @throws {FshError} CONNECTION_LOST */
  async fill(buffer: Uint8Array, what: string): Promise<void> {
    for (let at = 0; at < buffer.length;) {
      const read = await this.read(buffer.subarray(at));
      if (read === null) {
        const detail = `${at} of ${buffer.length} bytes of ${what} came; the classic protocol does not say why`;
        throw new FshError("CONNECTION_LOST", { subject: this.remote, detail });
      }
      at += read;
    }
  }

  /** @throws {FshError} BAD_CLASSIC for a size that no file has */
  async size(): Promise<number> {
    const bytes = new Uint8Array(SIZE_BYTES);
    await this.fill(bytes, "a size");
    const size = readClassicSize(bytes);
    if (size !== Infinity) return size;
    throw new FshError("BAD_CLASSIC", { subject: this.remote, detail: "it announces more than 2^53 bytes" });
  }

  async count(): Promise<number> {
    const bytes = new Uint8Array(COUNT_BYTES);
    await this.fill(bytes, "a count");
    return readClassicCount(bytes);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#awaiting(() => writeAll(this.#connection, bytes, this.#moved));
  }

  writeRegion(region: FileRegion): Promise<void> {
    return this.#awaiting(() => writeWholeRegion(this.#connection, NOTHING, { region, moved: this.#moved }));
  }

  /** Sends a PING. Answers what came for it: its answer, nothing (the server has closed), or what is no answer to it. */
  async ping(): Promise<"pong" | "closed" | "else"> {
    await this.write(Uint8Array.of(CLASSIC.ping));
    const answer = new Uint8Array(AFTER_PING);
    const read = await this.read(answer);
    if (read === null) return "closed";
    return read === 1 && answer[0] === CLASSIC.ping ? "pong" : "else";
  }

  readonly #moved = () => this.#limit.extend(this.#options.stall);

  async #awaiting<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure) throw this.#failure;
    this.#limit.begin(this.#options.stall, () => new FshError("STALLED", { subject: this.remote }));
    try {
      return await work();
    } catch (error) {
      throw this.#failure ??= toFshError(error);
    } finally {
      this.#limit.end();
    }
  }

  #fail(error: FshError): void {
    this.#failure ??= error;
    this.#connection.abort();
  }

  /** Says goodbye. May be called again, as `abort`. */
  close(): void {
    this.#leave();
    this.#connection.close();
  }

  abort(): void {
    this.#leave();
    this.#connection.abort();
  }

  #leave(): void {
    this.#limit.stop();
    this.#options.signal?.removeEventListener("abort", this.#interrupt);
  }
}

const NOTHING = new Uint8Array(0);
