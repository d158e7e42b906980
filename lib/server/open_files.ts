import type { Room } from "../base/arena.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type {
  FileAttributes,
  FileReader,
  FileWriter,
  NewFile,
  Page,
  ReadOptions,
  SmallFile,
  Storage,
  Stored,
  WriteOptions,
} from "../storage/storage.ts";

/** How long a request waits for a file to be closed elsewhere, in milliseconds, before it is refused. */
export const FILE_PATIENCE = 2000;

/** Counts files that are open, and makes those beyond `most` wait their turn: a little, then TOO_MANY_FILES. */
export class FileSlots {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #held = 0;

  constructor(most: number, clock: Clock = systemClock) {
    this.#most = most;
    this.#clock = clock;
  }

  /** Files that are open. */
  get held(): number {
    return this.#held;
  }

  /** Resolves to what gives the slot back; calling that again does nothing. @throws {FshError} TOO_MANY_FILES */
  async take(subject: string): Promise<() => void> {
    if (this.#held >= this.#most || this.#waiting.size > 0) await this.#turn(subject);
    else this.#held++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#give();
    };
  }

  /** A slot passes straight from who gives it to who waits longest. */
  #turn(subject: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(FILE_PATIENCE, () => {
        this.#waiting.delete(next);
        reject(new FshError("TOO_MANY_FILES", { subject, detail: `at most ${this.#most} at once; try again later` }));
      });
      const next = () => (cancel(), resolve());
      this.#waiting.add(next);
    });
  }

  #give(): void {
    const [next] = this.#waiting;
    if (!next) return void this.#held--;
    this.#waiting.delete(next);
    next();
  }
}

/** A storage that holds no more files open at once than there are slots; everything else it passes on. */
export class CountedStorage implements Storage {
  readonly #inner: Storage;
  readonly #slots: FileSlots;
  #strict: Storage | null = null;

  constructor(inner: Storage, slots: FileSlots) {
    this.#inner = inner;
    this.#slots = slots;
  }

  get identity(): string {
    return this.#inner.identity;
  }

  async openRead(path: SafePath, options?: ReadOptions): Promise<FileReader> {
    const give = await this.#slots.take(path);
    try {
      const reader = await this.#inner.openRead(path, options);
      const close = reader.close.bind(reader);
      reader.close = () => (give(), close());
      return reader;
    } catch (error) {
      give();
      throw error;
    }
  }

  async openWrite(path: SafePath, options?: WriteOptions): Promise<FileWriter> {
    const give = await this.#slots.take(path);
    try {
      const writer = await this.#inner.openWrite(path, options);
      // After a commit that failed there is still an abort to come.
      const [commit, abort] = [writer.commit.bind(writer), writer.abort.bind(writer)];
      writer.commit = (attributes) => commit(attributes).then(give);
      writer.abort = (how) => abort(how).finally(give);
      return writer;
    } catch (error) {
      give();
      throw error;
    }
  }

  async *readSmall(paths: Iterable<SafePath>, limit: number, room: Room): AsyncIterable<SmallFile | FshError> {
    // One file after the other.
    const give = await this.#slots.take("");
    try {
      yield* this.#inner.readSmall(paths, limit, room);
    } finally {
      give();
    }
  }

  async writeSmall(files: readonly NewFile[], options?: { readonly noReplace?: boolean }) {
    // They stay open until all of them are flushed; but a batch is short, and its frames bound its number.
    const give = await this.#slots.take(files[0]?.path ?? "");
    try {
      return await this.#inner.writeSmall(files, options);
    } finally {
      give();
    }
  }

  strict(): Storage {
    return this.#strict ??= new CountedStorage(this.#inner.strict(), this.#slots);
  }

  get free(): Storage["free"] {
    const { free } = this.#inner;
    return free?.bind(this.#inner);
  }

  list(path: SafePath): AsyncIterable<Page> {
    return this.#inner.list(path);
  }
  stat(path: SafePath): Promise<Stored> {
    return this.#inner.stat(path);
  }
  mkdir(path: SafePath): Promise<void> {
    return this.#inner.mkdir(path);
  }
  readLink(path: SafePath): Promise<string> {
    return this.#inner.readLink(path);
  }
  symlink(path: SafePath, target: string): Promise<void> {
    return this.#inner.symlink(path, target);
  }
  touch(path: SafePath, attributes: FileAttributes): Promise<void> {
    return this.#inner.touch(path, attributes);
  }
  remove(path: SafePath): Promise<void> {
    return this.#inner.remove(path);
  }
  rename(from: SafePath, to: SafePath, options?: WriteOptions): Promise<void> {
    return this.#inner.rename(from, to, options);
  }
  resolve(path: SafePath, options: { readonly follow: boolean }): Promise<SafePath> {
    return this.#inner.resolve(path, options);
  }
  close(): void {
    this.#inner.close();
  }
}
