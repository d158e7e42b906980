import { concatBytes, equalBytes } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";

/** Bytes that may wait for the disk before whoever makes more is held up. */
const MOST_WAITING = 4 * 1024 * 1024;
/** A disk that takes nothing for so long is given up, in milliseconds: transfers come first. */
const PATIENCE = 1000;

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
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #accepted = 0;
  #written = 0;
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

  /** Takes one piece of the file over: all of it will be there, or nothing. */
  write(piece: Uint8Array): void {
    if (this.#stopped) return;
    if (this.#accepted + piece.length > this.#options.limit) {
      return this.stop("it is as large as --trace-limit allows");
    }
    this.#accepted += piece.length;
    this.#waitingBytes += piece.length;
    this.#waiting.push(piece);
    this.#working ??= this.#work();
  }

  /** Resolves once there is room for more; undefined: there is. */
  room(): Promise<void> | undefined {
    if (this.#waitingBytes <= MOST_WAITING || !this.#working) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.stop("the disk is too slow");
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
      timer = setTimeout(() => (this.stop("the disk is too slow"), resolve()), PATIENCE);
    });
    await Promise.race([this.#working, late]);
    clearTimeout(timer);
    this.#stopped = true;
    this.#waiting = [];
    this.#file.close();
  }

  async #work(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = concatBytes(this.#waiting);
        this.#waiting = [];
        for (let at = 0; at < batch.length;) at += await this.#file.write(batch.subarray(at));
        this.#written += batch.length;
        this.#waitingBytes -= batch.length;
      }
    } catch (error) {
      this.#waiting = [];
      this.stop(reason(error));
      // A piece that is not whole would be taken for damage.
      await this.#file.truncate(this.#written).catch(() => {});
    }
    this.#waitingBytes = 0;
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
