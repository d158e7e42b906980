import { fileError, FshError, type PluginLog, readText } from "../lib/plugin.ts";

/** A file that changed this recently may change again within the same tick of its time stamp, in milliseconds. */
const UNSETTLED = 2_000;

/**
 * A parsed text file that is read again once it has changed. A version that can't be read or parsed is logged, and the
 * one before it stays.
 */
export class WatchedFile<T> {
  readonly #path: string;
  readonly #parse: (text: string, subject: string) => T;
  readonly #log: PluginLog;
  #value: T;
  #text: string;
  #stamp: string;
  #unsettled: boolean;
  /** What was wrong the last time, so that it is said once. */
  #complaint = "";
  #reading: Promise<void> | undefined;

  private constructor(
    file: { path: string; parse: (text: string, subject: string) => T; log: PluginLog },
    first: { value: T; text: string; stamp: string; unsettled: boolean },
  ) {
    this.#path = file.path;
    this.#parse = file.parse;
    this.#log = file.log;
    this.#value = first.value;
    this.#text = first.text;
    this.#stamp = first.stamp;
    this.#unsettled = first.unsettled;
  }

  /** @throws {FshError} if the first version can't be read or parsed */
  static async open<T>(
    path: string,
    options: { parse: (text: string, subject: string) => T; log: PluginLog; make?: string },
  ): Promise<WatchedFile<T>> {
    const mark = await stampOf(path);
    const text = await readText(path);
    if (mark === null || text === null) {
      throw new FshError("NOT_FOUND", { subject: path, detail: options.make && `make it with: ${options.make}` });
    }
    return new WatchedFile({ path, ...options }, { value: options.parse(text, path), text, ...mark });
  }

  /** What the file says now. Costs one `stat`. */
  async current(): Promise<T> {
    this.#reading ??= this.#refresh().finally(() => this.#reading = undefined);
    await this.#reading;
    return this.#value;
  }

  async #refresh(): Promise<void> {
    try {
      const mark = await stampOf(this.#path);
      if (mark?.stamp === this.#stamp && !this.#unsettled) return;
      const text = mark === null ? null : await readText(this.#path);
      if (mark === null || text === null) throw new FshError("NOT_FOUND", { subject: this.#path });
      this.#stamp = mark.stamp;
      this.#unsettled = mark.unsettled;
      if (text === this.#text) return;
      this.#text = text;
      this.#value = this.#parse(text, this.#path);
      this.#complaint = "";
      this.#log.info("file read again", { file: this.#path });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message === this.#complaint) return;
      this.#complaint = message;
      this.#log.error("file not usable; what it said before still holds", { file: this.#path, error: message });
    }
  }
}

/** Differs whenever the file does, as far as its file system can tell; null: there is no such file. */
async function stampOf(path: string): Promise<{ stamp: string; unsettled: boolean } | null> {
  try {
    const { mtime, ctime, size, ino, dev } = await Deno.stat(path);
    const changed = Math.max(mtime?.getTime() ?? 0, ctime?.getTime() ?? 0);
    const stamp = [mtime?.getTime(), ctime?.getTime(), size, ino, dev].join();
    return { stamp, unsettled: Date.now() - changed < UNSETTLED };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw fileError(error, path);
  }
}
