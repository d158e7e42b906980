import { FshError } from "../base/errors.ts";
import type { Lease } from "../base/memory_shares.ts";
import {
  command,
  type CommandContext,
  type CommandStream,
  type Place,
  type RequestOpener,
} from "../session/command.ts";
import { walk } from "../storage/walk.ts";
import { relativePath } from "../base/virtual_path.ts";
import { type Entry, entryBytes, MAX_PAGE } from "../wire/field.ts";
import { visible, walkVisible } from "./guarded_tree.ts";

/** What a page takes while it is put together, with the names that it is made of, for each level of folders. In bytes. */
const PAGE_COST = 192 * 1024;

/** Bytes of a page at the most, where the client's window allows as much. */
const PAGE_BYTES = 32 * 1024;

export const listCommand = command({
  request: "LIST",
  writes: false,
  async serve(stream, { path, recursive }, context) {
    const folder = await context.guard.admit(path);
    const most = context.bounds?.listing ?? Infinity;
    using _lease = await stream.memory.take(PAGE_COST);
    using levels = new Levels(stream, path);
    const pager = new Pager(stream);
    await context.work.turn();
    for await (const { entries, skipped } of recursive ? tree(folder, context) : names(folder, context)) {
      pager.skipped += skipped;
      if (recursive) levels.pay(entries);
      for (const entry of entries) {
        if (pager.count >= most) throw tooLong(path, { most, recursive: recursive === 1 });
        const full = pager.add(entry);
        if (full) await full;
      }
      const turn = context.work.turn();
      // Whoever waits among a thousand others keeps no entries meanwhile.
      if (turn) await Promise.all([pager.flush(), turn]);
    }
    await pager.flush();
    await stream.send("DONE", { count: pager.count, skipped: pager.skipped }, { fin: true });
  },
});

function tooLong(path: string, { most, recursive }: { most: number; recursive: boolean }): FshError {
  const detail = `at most ${most} entries${recursive ? "; list its folders one by one" : ""}`;
  return new FshError("LISTING_TOO_LARGE", { subject: path, detail });
}

interface EntryPage {
  readonly entries: readonly Entry[];
  readonly skipped: number;
}

/** Pages of a folder's names. */
async function* names(folder: Place, context: CommandContext): AsyncIterable<EntryPage> {
  if (!context.guard.strict) return yield* context.storage.list(folder.real);
  for await (const { found, skipped } of visible(folder, context)) {
    yield { entries: found.map(({ info }) => info), skipped };
  }
}

/** Pages of everything below a folder, named by their paths relative to it. */
async function* tree(folder: Place, context: CommandContext): AsyncIterable<EntryPage> {
  if (context.guard.strict) {
    for await (const { found, skipped } of walkVisible(folder, context)) {
      const entries = found.map(({ info, place }) => ({ ...info, name: relativePath(folder.asked, place.asked) }));
      yield { entries, skipped };
    }
    return;
  }
  for await (const { found, skipped } of walk(context.storage, folder.real)) {
    yield { entries: found.map(({ info, path }) => ({ ...info, name: relativePath(folder.real, path) })), skipped };
  }
}

/** Pays for the levels of a tree: while one looks into a folder, the pages above it stand in memory. */
class Levels implements Disposable {
  readonly #stream: CommandStream;
  readonly #path: string;
  readonly #leases: Lease[] = [];
  #deepest = 0;

  constructor(stream: CommandStream, path: string) {
    this.#stream = stream;
    this.#path = path;
  }

  /** @throws {FshError} TOO_LARGE where there is no memory for one more level */
  pay(entries: readonly Entry[]): void {
    const depth = entries[0]?.name.split("/").length ?? 0;
    for (; this.#deepest < depth - 1; this.#deepest++) {
      // Who holds some must not wait for more: all would wait for each other.
      const lease = this.#stream.memory.tryTake(PAGE_COST, 2 * PAGE_COST);
      if (!lease) {
        throw new FshError("TOO_LARGE", { subject: this.#path, detail: "too deep for the server's memory now" });
      }
      this.#leases.push(lease);
    }
  }

  [Symbol.dispose](): void {
    for (const lease of this.#leases) lease.release();
  }
}

class Pager {
  readonly #stream: CommandStream;
  #page: Entry[] = [];
  #bytes = 0;
  count = 0;
  skipped = 0;

  constructor(stream: CommandStream) {
    this.#stream = stream;
  }

  /** Undefined, or a promise for when there is room for the next one. */
  add(entry: Entry): Promise<void> | undefined {
    const bytes = entryBytes(entry);
    const limit = Math.min(PAGE_BYTES, this.#stream.chunkSize);
    const isFull = this.#bytes + bytes > limit || this.#page.length === MAX_PAGE;
    const flushed = isFull ? this.flush() : undefined;
    this.#page.push(entry);
    this.#bytes += bytes;
    this.count++;
    return flushed;
  }

  async flush(): Promise<void> {
    if (this.#page.length === 0) return;
    const entries = this.#page;
    this.#page = [];
    this.#bytes = 0;
    await this.#stream.send("ENTRIES", { entries });
  }
}

/** How a listing ended. */
export interface Listed {
  readonly count: number;
  /** Names left out because they are not Unicode, or folders that could not be read. */
  readonly skipped: number;
}

export interface ListOptions {
  readonly recursive?: boolean;
  /** Called with the number of names of each page; what it throws ends the listing. */
  readonly count?: (names: number) => void;
}

/** Lists a folder page by page, in no order; with `recursive` all below it, named by relative paths. */
export async function* list(
  session: RequestOpener,
  path: string,
  options: ListOptions = {},
): AsyncGenerator<readonly Entry[], Listed> {
  const stream = session.open("LIST", { path, recursive: options.recursive ? 1 : 0 });
  let finished = false;
  try {
    for (;;) {
      const message = await stream.next();
      if (message.name === "ENTRIES") {
        options.count?.(message.fields.entries.length);
        yield message.fields.entries;
      } else if (message.name === "DONE") {
        finished = true;
        return message.fields;
      } else throw new FshError("UNEXPECTED_FRAME", { subject: message.name });
    }
  } finally {
    if (!finished) stream.cancel(new FshError("CANCELLED"));
  }
}
