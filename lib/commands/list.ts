import { FshError } from "../base/errors.ts";
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

/** Bytes of a page at the most, where the client's window allows as much. */
const PAGE_BYTES = 32 * 1024;

export const listCommand = command({
  request: "LIST",
  writes: false,
  async serve(stream, { path, recursive }, context) {
    const folder = await context.guard.admit(path);
    const pager = new Pager(stream);
    await context.work.turn();
    for await (const { entries, skipped } of recursive ? tree(folder, context) : names(folder, context)) {
      pager.skipped += skipped;
      for (const entry of entries) await pager.add(entry);
      const turn = context.work.turn();
      if (turn) await turn;
    }
    await pager.flush();
    await stream.send("DONE", { count: pager.count, skipped: pager.skipped }, { fin: true });
  },
});

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

class Pager {
  readonly #stream: CommandStream;
  #page: Entry[] = [];
  #bytes = 0;
  count = 0;
  skipped = 0;

  constructor(stream: CommandStream) {
    this.#stream = stream;
  }

  async add(entry: Entry): Promise<void> {
    const bytes = entryBytes(entry);
    const limit = Math.min(PAGE_BYTES, this.#stream.chunkSize);
    if (this.#bytes + bytes > limit || this.#page.length === MAX_PAGE) await this.flush();
    this.#page.push(entry);
    this.#bytes += bytes;
    this.count++;
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

/** Lists a folder page by page, in no order; with `recursive` all below it, named by relative paths. */
export async function* list(
  session: RequestOpener,
  path: string,
  options: { recursive?: boolean } = {},
): AsyncGenerator<readonly Entry[], Listed> {
  const stream = session.open("LIST", { path, recursive: options.recursive ? 1 : 0 });
  let finished = false;
  try {
    for (;;) {
      const message = await stream.next();
      if (message.name === "ENTRIES") yield message.fields.entries;
      else if (message.name === "DONE") {
        finished = true;
        return message.fields;
      } else throw new FshError("UNEXPECTED_FRAME", { subject: message.name });
    }
  } finally {
    if (!finished) stream.cancel(new FshError("CANCELLED"));
  }
}
