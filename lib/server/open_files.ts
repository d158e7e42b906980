import type { Room } from "../base/arena.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { Soon } from "../base/soon.ts";
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

/** Requests of one session that may wait at once: whoever asks for more gets no more by waiting. */
const MOST_WAITING = 32;
/** And where others wait, too: an eighth of what all together may, as far as that is not used, but this many always. */
const LEAST_WAITING = 4;
const WAITING_IN_ALL = 1024;

/** Of all slots, the last ones: for sessions that have no file open. */
const RESERVED = 1 / 8;

interface Waiting {
  readonly session: SessionFiles;
  readonly next: () => void;
}

/** Counts files that are open, and makes those beyond `most` wait their turn: a little, then TOO_MANY_FILES. */
export class FileSlots {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #held = 0;

  constructor(most: number, clock: Clock = systemClock) {
    this.#most = most;
    this.#clock = clock;
  }

  /** Files that are open. */
  get held(): number {
    return this.#held;
  }

  /** One session's part. */
  join(): SessionFiles {
    return new SessionFiles(this);
  }

  /** Resolves to what gives the slot back; calling that again does nothing. @throws {FshError} TOO_MANY_FILES */
  async take(session: SessionFiles, subject: string): Promise<() => void> {
    if (this.#mayHave(session)) this.#grant(session);
    else if (session.waiting < this.#mostWaiting) await this.#turn(session, subject);
    else throw this.#refusal(subject);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      session.held--;
      this.#held--;
      this.#serve();
    };
  }

  #mayHave(session: SessionFiles): boolean {
    // Without a limit there is nothing to reserve.
    if (this.#most === Infinity) return true;
    const free = this.#most - this.#held;
    return free > (session.held === 0 ? 0 : Math.floor(this.#most * RESERVED));
  }

  /** Of one session. Each that waits takes memory and time of those who have a file. */
  get #mostWaiting(): number {
    return Math.max(LEAST_WAITING, Math.min(MOST_WAITING, (WAITING_IN_ALL - this.#waiting.size) >> 3));
  }

  #grant(session: SessionFiles): void {
    session.held++;
    this.#held++;
  }

  #turn(session: SessionFiles, subject: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(FILE_PATIENCE, () => {
        this.#leave(waiting);
        reject(this.#refusal(subject));
      });
      const waiting = { session, next: () => (cancel(), resolve()) };
      this.#waiting.add(waiting);
      session.waiting++;
    });
  }

  #leave(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    waiting.session.waiting--;
  }

  #refusal(subject: string): FshError {
    return new FshError("TOO_MANY_FILES", { subject, detail: `at most ${this.#most} at once; try again later` });
  }

  /** The next slot is for who has the fewest, and among those for who waits longest. */
  #serve(): void {
    let next: Waiting | undefined;
    for (const one of this.#waiting) if (one.session.held < (next?.session.held ?? Infinity)) next = one;
    if (!next || !this.#mayHave(next.session)) return;
    this.#leave(next);
    this.#grant(next.session);
    next.next();
  }
}

/** The files of one session. */
export class SessionFiles {
  /** That are open. */
  held = 0;
  /** Requests that wait for a slot. */
  waiting = 0;
  readonly #all: FileSlots;

  constructor(all: FileSlots) {
    this.#all = all;
  }

  /** As `FileSlots.take`. */
  take(subject: string): Promise<() => void> {
    return this.#all.take(this, subject);
  }
}

/** A storage that holds no more files open at once than there are slots; everything else it passes on. */
export class CountedStorage implements Storage {
  readonly #inner: Storage;
  readonly #slots: SessionFiles;
  #strict: Storage | null = null;

  constructor(inner: Storage, slots: SessionFiles) {
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
  resolve(path: SafePath, options: { readonly follow: boolean }): Soon<SafePath> {
    return this.#inner.resolve(path, options);
  }
  close(): void {
    this.#inner.close();
  }
}
