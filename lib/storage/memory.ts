import type { Room } from "../base/arena.ts";
import { FshError } from "../base/errors.ts";
import { baseName, isWithin, parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { readWhole, writeEach } from "./each_file.ts";
import { permissionBits } from "./permission_bits.ts";
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
} from "./storage.ts";

interface Node {
  readonly content: Uint8Array | null;
  readonly modified: number;
  readonly mode: number;
}

/** A tree in memory, for tests and for embedding. */
export class MemoryStorage implements Storage {
  readonly identity = "memory";
  readonly #nodes = new Map<SafePath, Node>([[ROOT, { content: null, modified: 0, mode: 0o755 }]]);
  readonly #parts = new Map<string, Uint8Array[]>();
  readonly #writing = new Set<string>();
  /** Bytes that all files together may have. */
  readonly #capacity: number;

  constructor(options: { capacity?: number } = {}) {
    this.#capacity = options.capacity ?? Infinity;
  }

  async *list(path: SafePath): AsyncIterable<Page> {
    this.#folder(path);
    let entries: Stored[] = [];
    for (const [child, node] of this.#nodes) {
      if (child === ROOT || parentPath(child) !== path) continue;
      entries.push(stored(child, node));
      if (entries.length === 512) {
        yield { entries, skipped: 0 };
        entries = [];
        await undefined;
      }
    }
    if (entries.length > 0) yield { entries, skipped: 0 };
  }

  stat(path: SafePath): Promise<Stored> {
    return attempt(() => stored(path, this.#node(path)));
  }

  openRead(path: SafePath, options: ReadOptions = {}): Promise<FileReader> {
    return attempt(() => {
      const node = this.#node(path);
      const content = node.content;
      if (content === null) throw new FshError("IS_DIRECTORY", { subject: path });
      let at = options.offset ?? 0;
      if (at > content.length) throw new FshError("BAD_OFFSET", { subject: path });
      let end = Math.min(content.length, at + (options.length ?? Infinity));
      return {
        info: stored(path, node),
        read(buffer) {
          if (at === end) return Promise.resolve(null);
          const some = content.subarray(at, Math.min(end, at + buffer.length));
          buffer.set(some);
          at += some.length;
          return Promise.resolve(some.length);
        },
        seek(offset) {
          at = Math.min(offset, content.length);
          end = content.length;
          return Promise.resolve();
        },
        close() {},
      };
    });
  }

  openWrite(path: SafePath, options: WriteOptions = {}): Promise<FileWriter> {
    return attempt(() => {
      this.#target(path, options);
      const id = options.part ? `${options.part.owner}\0${path}` : null;
      if (id !== null && this.#writing.has(id)) throw new FshError("LOCKED", { subject: path });
      if (id !== null) this.#writing.add(id);
      const left = id !== null && options.part?.continue ? this.#parts.get(id) ?? [] : [];
      if (id !== null) this.#parts.delete(id);
      let chunks: Uint8Array[] = left;
      let size = left.reduce((sum, chunk) => sum + chunk.length, 0);
      let offset = size;
      const ended = () => {
        if (id !== null) this.#writing.delete(id);
      };
      return {
        get offset() {
          return offset;
        },
        replay: async (take: (chunk: Uint8Array) => Promise<void> | void, { most = Infinity } = {}) => {
          for (const chunk of left) {
            for (let at = 0; at < chunk.length; at += most) await take(chunk.slice(at, at + most));
          }
        },
        restart: () =>
          attempt(() => {
            chunks = [];
            size = offset = 0;
          }),
        write: (chunk: Uint8Array) => {
          if (this.#used() + size + chunk.length > this.#capacity) throw new FshError("NO_SPACE", { subject: path });
          chunks.push(chunk.slice());
          size += chunk.length;
        },
        commit: (attributes: FileAttributes = {}) =>
          attempt(() => {
            this.#target(path, options);
            const content = new Uint8Array(size);
            let at = 0;
            for (const chunk of chunks) {
              content.set(chunk, at);
              at += chunk.length;
            }
            const { modified, mode } = attributes;
            this.#nodes.set(path, { content, modified: modified ?? Date.now(), mode: permissionBits(mode ?? 0o644) });
            ended();
          }),
        abort: (options: { keep?: boolean } = {}) =>
          attempt(() => {
            if (id !== null && options.keep) this.#parts.set(id, chunks);
            ended();
          }),
      };
    });
  }

  async *readSmall(paths: Iterable<SafePath>, limit: number, room: Room): AsyncIterable<SmallFile | FshError> {
    for (const path of paths) yield await readWhole(this, path, { limit, room });
  }

  writeSmall(files: readonly NewFile[], options: { noReplace?: boolean } = {}): Promise<(FshError | null)[]> {
    return writeEach(this, files, options);
  }

  readLink(path: SafePath): Promise<string> {
    return attempt(() => {
      this.#node(path);
      throw new FshError("NOT_LINK", { subject: path });
    });
  }

  symlink(path: SafePath): Promise<void> {
    return attempt(() => {
      throw new FshError("UNSUPPORTED", { subject: path, detail: "symbolic links" });
    });
  }

  touch(path: SafePath, { modified, mode }: FileAttributes): Promise<void> {
    return attempt(() => {
      const node = this.#node(path);
      this.#nodes.set(path, { ...node, modified: modified ?? node.modified, mode: permissionBits(mode ?? node.mode) });
    });
  }

  mkdir(path: SafePath): Promise<void> {
    return attempt(() => {
      if (this.#nodes.has(path)) throw new FshError("EXISTS", { subject: path });
      this.#parent(path);
      this.#nodes.set(path, { content: null, modified: Date.now(), mode: 0o755 });
    });
  }

  remove(path: SafePath): Promise<void> {
    return attempt(() => {
      if (path === ROOT) throw new FshError("NOT_PERMITTED", { subject: path });
      this.#node(path);
      for (const other of this.#nodes.keys()) {
        if (other !== path && isWithin(other, path)) throw new FshError("NOT_EMPTY", { subject: path });
      }
      this.#nodes.delete(path);
    });
  }

  rename(from: SafePath, to: SafePath, options: WriteOptions = {}): Promise<void> {
    return attempt(() => {
      if (from === ROOT || to === ROOT) throw new FshError("NOT_PERMITTED", { subject: ROOT });
      const node = this.#node(from);
      if (from === to) return;
      if (isWithin(to, from)) throw new FshError("INTO_ITSELF", { subject: from });
      this.#parent(to);
      const old = this.#nodes.get(to);
      if (old && options.noReplace) throw new FshError("EXISTS", { subject: to });
      if (old && old.content === null && node.content !== null) throw new FshError("IS_DIRECTORY", { subject: to });
      if (old && old.content !== null && node.content === null) throw new FshError("NOT_DIRECTORY", { subject: to });
      for (const other of this.#nodes.keys()) {
        if (other !== to && isWithin(other, to)) throw new FshError("NOT_EMPTY", { subject: to });
      }
      for (const [path, moved] of [...this.#nodes]) {
        if (!isWithin(path, from)) continue;
        this.#nodes.delete(path);
        this.#nodes.set((to + path.slice(from.length)) as SafePath, moved);
      }
    });
  }

  resolve(path: SafePath): Promise<SafePath> {
    return Promise.resolve(path);
  }

  strict(): Storage {
    return this;
  }

  close(): void {}

  #node(path: SafePath): Node {
    const node = this.#nodes.get(path);
    if (node) return node;
    this.#parent(path);
    throw new FshError("NOT_FOUND", { subject: path });
  }

  #folder(path: SafePath): void {
    if (this.#node(path).content !== null) throw new FshError("NOT_DIRECTORY", { subject: path });
  }

  /** Refuses a path whose parent is missing or no folder. */
  #parent(path: SafePath): void {
    const parent = this.#nodes.get(parentPath(path));
    if (parent?.content) throw new FshError("NOT_DIRECTORY", { subject: path });
    if (!parent) throw new FshError("NOT_FOUND", { subject: path });
  }

  #target(path: SafePath, options: WriteOptions): void {
    if (path === ROOT || this.#nodes.get(path)?.content === null) throw new FshError("IS_DIRECTORY", { subject: path });
    this.#parent(path);
    if (options.noReplace && this.#nodes.has(path)) throw new FshError("EXISTS", { subject: path });
  }

  #used(): number {
    let bytes = 0;
    for (const node of this.#nodes.values()) bytes += node.content?.length ?? 0;
    return bytes;
  }
}

/** Failures come as rejections, as they do from a disk. */
async function attempt<T>(work: () => T): Promise<T> {
  await undefined;
  return work();
}

function stored(path: SafePath, node: Node): Stored {
  return {
    name: baseName(path),
    type: node.content === null ? "directory" : "file",
    size: node.content?.length ?? 0,
    modified: node.modified,
    mode: node.mode,
  };
}
