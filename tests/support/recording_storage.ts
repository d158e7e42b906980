import type { Soon } from "../../lib/base/soon.ts";
import type { Room } from "../../lib/base/arena.ts";
import type { SafePath } from "../../lib/base/virtual_path.ts";
import type {
  FileAttributes,
  FileReader,
  FileWriter,
  NewFile,
  Page,
  ReadOptions,
  Storage,
  Stored,
  WriteOptions,
} from "../../lib/storage/storage.ts";

/** Passes everything on, and notes each path that the storage is asked for: `operation path`. */
export class RecordingStorage implements Storage {
  readonly #inner: Storage;
  readonly notes: string[];

  constructor(inner: Storage, notes: string[] = []) {
    this.#inner = inner;
    this.notes = notes;
  }

  get identity(): string {
    return this.#inner.identity;
  }

  #note(operation: string, ...paths: string[]): Storage {
    for (const path of paths) this.notes.push(`${operation} ${path}`);
    return this.#inner;
  }

  list(path: SafePath): AsyncIterable<Page> {
    return this.#note("list", path).list(path);
  }
  stat(path: SafePath): Promise<Stored> {
    return this.#note("stat", path).stat(path);
  }
  openRead(path: SafePath, options?: ReadOptions): Promise<FileReader> {
    return this.#note("openRead", path).openRead(path, options);
  }
  openWrite(path: SafePath, options?: WriteOptions): Promise<FileWriter> {
    return this.#note("openWrite", path).openWrite(path, options);
  }
  readSmall(paths: Iterable<SafePath>, limit: number, room: Room) {
    const all = [...paths];
    return this.#note("readSmall", ...all).readSmall(all, limit, room);
  }
  writeSmall(files: readonly NewFile[], options?: { readonly noReplace?: boolean }) {
    return this.#note("writeSmall", ...files.map(({ path }) => path)).writeSmall(files, options);
  }
  mkdir(path: SafePath): Promise<void> {
    return this.#note("mkdir", path).mkdir(path);
  }
  readLink(path: SafePath): Promise<string> {
    return this.#note("readLink", path).readLink(path);
  }
  symlink(path: SafePath, target: string, options?: Pick<WriteOptions, "noReplace">): Promise<void> {
    return this.#note("symlink", path).symlink(path, target, options);
  }
  touch(path: SafePath, attributes: FileAttributes): Promise<void> {
    return this.#note("touch", path).touch(path, attributes);
  }
  remove(path: SafePath): Promise<void> {
    return this.#note("remove", path).remove(path);
  }
  rename(from: SafePath, to: SafePath, options?: WriteOptions): Promise<void> {
    return this.#note("rename", from, to).rename(from, to, options);
  }
  resolve(path: SafePath, options: { readonly follow: boolean }): Soon<SafePath> {
    return this.#note("resolve", path).resolve(path, options);
  }
  strict(): Storage {
    return new RecordingStorage(this.#inner.strict(), this.notes);
  }
  close(): void {
    this.#inner.close();
  }
}
