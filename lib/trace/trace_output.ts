import { BufferPool } from "../base/buffer_pool.ts";
import { equalBytes } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";

const CHUNK = 1024 * 1024;
/** Chunks that may wait for the disk before whoever makes more is held up. */
const MOST_WAITING = 4;
/** Chunks that may wait at the most, however many sessions write at once: then the trace ends. */
const MOST_CHUNKS = 64;
/** A disk that takes nothing for so long is given up, in milliseconds: transfers come first. */
const PATIENCE = 1000;

const TOO_SLOW = "the disk is too slow";

const chunks = new BufferPool(CHUNK, MOST_WAITING);

/** Bytes on their way to the file. */
interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length: number;
  /** Of the file, up to the end of the last piece that is whole once this is written. */
  whole: number;
}

export interface TraceOutputOptions {
  /** What the file begins with, and all others of its kind: only those are replaced. */
  readonly magic: Uint8Array;
  /** Bytes that the file may have. */
  readonly limit: number;
  /** Hears why nothing more is written, once. */
  readonly stopped: (why: string) => void;
}

/**
 * A file that is written beside the real work, in the background, and never stands in its way: when it can't be written
 * any more, or is full, it ends with the last whole piece.
 */
export class TraceOutput {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #options: TraceOutputOptions;
  #waiting: Chunk[] = [];
  #accepted = 0;
  #written = 0;
  /** Of the file, what is written and consists of whole pieces. */
  #whole = 0;
  #stopped = false;
  #working: Promise<void> | null = null;

  private constructor(file: Deno.FsFile, path: string, options: TraceOutputOptions) {
    this.#file = file;
    this.#path = path;
    this.#options = options;
  }

  /**
   * Makes the file, for its owner only. One that is there is replaced where it is of the same kind, or empty.
   *
   * @throws {FshError} TRACE_FAILED
   */
  static async open(path: string, options: TraceOutputOptions): Promise<TraceOutput> {
    try {
      await removeOlder(path, options.magic);
      // Neither a link nor a file that somebody has put there meanwhile.
      const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
      await file.tryLock(true);
      return new TraceOutput(file, path, options);
    } catch (error) {
      throw error instanceof FshError ? error : failure(path, error);
    }
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Takes one piece of the file, in parts: all of it will be there, or nothing. A number stands for as many zeros. */
  write(...parts: readonly (Uint8Array | number)[]): void {
    if (this.#stopped) return;
    const length = parts.reduce((sum: number, part) => sum + (typeof part === "number" ? part : part.length), 0);
    if (this.#accepted + length > this.#options.limit) return this.stop("it is as large as --trace-limit allows");
    if (this.#waiting.length > MOST_CHUNKS) return this.stop(TOO_SLOW);
    for (const part of parts) this.#copy(part);
    this.#accepted += length;
    const last = this.#waiting.at(-1);
    if (last) last.whole = this.#accepted;
    this.#working ??= this.#work();
  }

  #copy(part: Uint8Array | number): void {
    const length = typeof part === "number" ? part : part.length;
    for (let at = 0; at < length;) {
      const chunk = this.#open();
      const taken = Math.min(length - at, CHUNK - chunk.length);
      if (typeof part === "number") chunk.bytes.fill(0, chunk.length, chunk.length + taken);
      else chunk.bytes.set(part.subarray(at, at + taken), chunk.length);
      chunk.length += taken;
      at += taken;
    }
  }

  /** A chunk that has room. */
  #open(): Chunk {
    const last = this.#waiting.at(-1);
    if (last && last.length < CHUNK) return last;
    const chunk = { bytes: chunks.take(), length: 0, whole: this.#accepted };
    this.#waiting.push(chunk);
    return chunk;
  }

  /** Resolves once there is room for more; undefined: there is. */
  room(): Promise<void> | undefined {
    if (this.#waiting.length <= MOST_WAITING || !this.#working) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.stop(TOO_SLOW);
        this.#waiting = [];
        resolve();
      }, PATIENCE);
    });
    return Promise.race([this.#working, late]).finally(() => clearTimeout(timer));
  }

  /** Nothing more is taken; what was, is still written. */
  stop(why: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.stopped(`${this.#path}: ${why}`);
  }

  /** Waits until all is written that was taken, but not for ever, and closes the file. */
  async close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => (this.stop(TOO_SLOW), resolve()), PATIENCE);
    });
    await Promise.race([this.#working, late]);
    clearTimeout(timer);
    this.#stopped = true;
    this.#waiting = [];
    // Otherwise it still waits for the disk.
    if (this.#working) void this.#working.then(() => this.#file.close());
    else this.#file.close();
  }

  async #work(): Promise<void> {
    try {
      for (let chunk; (chunk = this.#waiting.shift());) {
        for (let at = 0; at < chunk.length;) at += await this.#file.write(chunk.bytes.subarray(at, chunk.length));
        this.#written += chunk.length;
        this.#whole = chunk.whole;
        chunks.give(chunk.bytes);
      }
    } catch (error) {
      this.#waiting = [];
      this.#written = Infinity;
      this.stop(reason(error));
    }
    // A piece that is not whole would be taken for damage; of one that was given up the rest may never come.
    if (this.#written > this.#whole) await this.#file.truncate(this.#whole).catch(() => {});
    this.#working = null;
  }
}

/** Removes a file of the same kind, or an empty one. @throws {FshError} TRACE_FAILED: it is another, or being written */
async function removeOlder(path: string, magic: Uint8Array): Promise<void> {
  const info = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (info === null) return;
  const refused = (detail: string) => new FshError("TRACE_FAILED", { subject: path, detail });
  const another = "something else has that name, which is not replaced: take another";
  if (!info.isFile) throw refused(another);
  using file = await Deno.open(path);
  const head = new Uint8Array(magic.length);
  const have = await file.read(head);
  if (have !== null && !equalBytes(head.subarray(0, have), magic)) throw refused(another);
  if (!await file.tryLock(true)) throw refused("another fsh is writing it: take another name");
  await Deno.remove(path);
}

function failure(path: string, error: unknown): FshError {
  return new FshError("TRACE_FAILED", { subject: path, detail: reason(error), cause: error });
}

/** The system's words, without the runtime's around them. */
function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such folder";
  const text = error instanceof Error ? error.message : String(error);
  return /^(.*?) \(os error \d+\)/.exec(text)?.[1] ?? text;
}
