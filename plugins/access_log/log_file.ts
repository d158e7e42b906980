import { fileError, type PluginLog } from "../../lib/plugin.ts";

/** Bytes of lines that may wait for a slow disk; more are lost, and counted. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Milliseconds between two complaints, between two tries to rotate, and between two looks at whether the file moved. */
const COMPLAIN_EVERY = 60_000;
const LOOK_EVERY = 1_000;

export interface LogFileOptions {
  /** Bytes from which on the file is put aside; undefined: never. */
  readonly rotateSize: number | undefined;
  /** How many are kept aside: `NAME.1` is the youngest. */
  readonly keep: number;
  readonly log: PluginLog;
  readonly now?: () => number;
}

/**
 * Appends lines to a file. `write` never throws: lines that can't be written are counted, and said so in the server's
 * log. When somebody moved or removed the file, as programs that rotate logs do, it is made anew within a second.
 */
export class LogFile {
  readonly #path: string;
  readonly #options: LogFileOptions;
  readonly #now: () => number;
  #file: Deno.FsFile | undefined;
  #identity = "";
  #size = 0;
  #looked = -Infinity;
  #rotationFailed = -Infinity;
  #complained = -Infinity;
  #lost = 0;
  /** Half a line is at the end of the file. */
  #torn = false;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(path: string, options: LogFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws {FshError} if it can't be opened: at the start that is a mistake of the operator's */
  async open(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      throw fileError(error, this.#path);
    }
  }

  /** Resolves once the line is written, or lost. */
  async write(line: string): Promise<void> {
    const bytes = new TextEncoder().encode(line + "\n");
    if (this.#waitingBytes + bytes.length > MAX_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain().finally(() => this.#writing = undefined);
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { count, bytes } = this.#batch();
      this.#waiting.splice(0, count);
      this.#waitingBytes -= bytes.length;
      try {
        await this.#prepare(bytes.length);
        await this.#append(bytes);
        this.#recovered();
      } catch (error) {
        this.#lost += count;
        this.#complain(error);
      }
    }
  }

  /** As many lines as fit into the file before it is put aside, at least one. */
  #batch(): { count: number; bytes: Uint8Array } {
    const limit = (this.#options.rotateSize ?? Infinity) - this.#size;
    let count = 0;
    let length = 0;
    for (const line of this.#waiting) {
      if (count > 0 && length + line.length > limit) break;
      count++;
      length += line.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const line of this.#waiting.slice(0, count)) {
      bytes.set(line, at);
      at += line.length;
    }
    return { count, bytes };
  }

  async #prepare(length: number): Promise<void> {
    const now = this.#now();
    if (this.#file === undefined || now - this.#looked >= LOOK_EVERY) {
      this.#looked = now;
      if (this.#file === undefined || await identityOf(this.#path) !== this.#identity) await this.#open();
    }
    const { rotateSize } = this.#options;
    if (rotateSize === undefined || this.#size === 0 || this.#size + length <= rotateSize) return;
    if (now - this.#rotationFailed < COMPLAIN_EVERY) return;
    try {
      await this.#rotate();
    } catch (error) {
      this.#rotationFailed = now;
      this.#options.log.error("access log not put aside; it grows on", { file: this.#path, error: textOf(error) });
    }
    await this.#open();
  }

  async #open(): Promise<void> {
    const file = await Deno.open(this.#path, { append: true, create: true, mode: 0o640 });
    this.#file?.close();
    this.#file = file;
    const { size, dev, ino } = await file.stat();
    this.#identity = `${dev}:${ino}`;
    this.#size = size;
  }

  async #rotate(): Promise<void> {
    const { keep } = this.#options;
    if (keep === 0) return await Deno.remove(this.#path);
    for (let number = keep; number > 0; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      await Deno.rename(from, `${this.#path}.${number}`).catch((error) => {
        if (number === 1 || !(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }

  async #append(bytes: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw new Error("not open");
    if (this.#torn) {
      await file.write(Uint8Array.of(10));
      this.#torn = false;
      this.#size++;
    }
    for (let at = 0; at < bytes.length;) {
      try {
        const count = await file.write(bytes.subarray(at));
        at += count;
        this.#size += count;
      } catch (error) {
        this.#torn = at > 0;
        throw error;
      }
    }
  }

  #complain(error: unknown): void {
    if (this.#now() - this.#complained < COMPLAIN_EVERY) return;
    this.#complained = this.#now();
    const fields = { file: this.#path, lost: this.#lost, error: textOf(error) };
    this.#options.log.error("access log not written; lines are lost", fields);
  }

  #recovered(): void {
    if (this.#lost === 0) return;
    this.#options.log.warn("access log is written again", { file: this.#path, lost: this.#lost });
    this.#lost = 0;
    this.#complained = -Infinity;
  }
}

async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await Deno.stat(path);
    return `${dev}:${ino}`;
  } catch {
    return "";
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
