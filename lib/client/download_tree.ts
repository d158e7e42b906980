import { FshError } from "../base/errors.ts";
import { childPath, oddName, parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { makeFolders } from "../commands/mkdir.ts";
import type { Entry } from "../wire/field.ts";
import { localAttributes } from "./attributes.ts";
import { forEachOfTree } from "./batches.ts";
import type { Remote } from "./client.ts";
import { downloadFile } from "./download.ts";
import { makeLink } from "./local_link.ts";
import { NameLimit } from "./name_limit.ts";
import { FolderMaker, SmallDownloads } from "./small_downloads.ts";
import { type LocalPlace, oneOfSeveral, type TransferOptions } from "./transfer.ts";
import { transferLink } from "./tree_links.ts";

/** A folder is remembered to the end, for its time; so it counts as that many names more. */
const FOLDER_NAMES = 9;

/**
 * Gets everything below a folder. The names are the server's, so each is checked like a stranger's: one that would lead
 * out of the place is refused.
 */
export async function downloadTree(
  client: Remote,
  remote: string,
  place: LocalPlace,
  options: TransferOptions,
): Promise<void> {
  await new TreeDownload(client, remote, place, options).run();
}

class TreeDownload {
  readonly #client: Remote;
  readonly #remote: string;
  readonly #base: string;
  readonly #place: LocalPlace;
  readonly #options: TransferOptions;
  readonly #folders: FolderMaker;
  readonly #names: NameLimit;
  /** Times of folders, which are set when nothing more goes into them. */
  readonly #times = new Map<SafePath, Pick<Entry, "modified" | "mode">>();

  constructor(client: Remote, remote: string, place: LocalPlace, options: TransferOptions) {
    this.#client = client;
    this.#remote = remote;
    this.#base = remote.endsWith("/") ? remote : `${remote}/`;
    this.#place = place;
    this.#options = options;
    this.#folders = new FolderMaker(place.storage);
    this.#names = options.names ?? new NameLimit();
  }

  async run(): Promise<void> {
    const { dryRun = false, selection } = this.#options;
    const { storage, path } = this.#place;
    if (path !== ROOT && !dryRun) await makeFolders(storage, path);
    const [info] = await Promise.all([this.#client.stat(this.#remote), this.#walk("", false)]);
    if (dryRun || selection?.onlyFiles) return;
    this.#times.set(path, info);
    await this.#setTimes();
  }

  /** Everything below a folder of the tree, whose path relative to the tree ends in a slash or is empty. */
  async #walk(prefix: string, followed: boolean): Promise<void> {
    const { signal } = this.#options;
    await forEachOfTree(this.#pages(prefix), {
      describe: (entry) => entry,
      batch: async (entries, settled) => {
        if (signal?.aborted) throw signal.reason;
        const [base, place, folders, options] = [this.#base, this.#place, this.#folders, this.#options];
        await new SmallDownloads(this.#client, { base, place, folders, options, settled }).run(entries);
      },
      single: async (entry) => {
        if (signal?.aborted) throw signal.reason;
        await oneOfSeveral(this.#base + entry.name, this.#options.events, () => this.#take(entry, followed));
      },
    });
  }

  async #take(entry: Entry, followed: boolean): Promise<void> {
    const { events, dryRun = false, links = "skip" } = this.#options;
    const path = this.#base + entry.name;
    const own = childPath(this.#place.path, entry.name);
    switch (entry.type) {
      case "directory":
        return await this.#takeFolder(own, entry);
      case "file":
        return await this.#takeFile(entry, own);
      case "symlink":
        return await transferLink({ path, below: entry.name, followed }, {
          readLink: () => this.#client.readLink(path),
          make: async (target) => {
            await this.#makeParent(own);
            await makeLink({ tree: this.#place, path: own }, target, this.#options);
          },
          look: () => this.#client.stat(path),
          takeFile: async () => this.#takeFile({ ...await this.#client.stat(path), name: entry.name }, own),
          takeFolder: async () => {
            await this.#takeFolder(own, await this.#client.stat(path));
            await this.#walk(`${entry.name}/`, true);
          },
        }, { mode: links, events, dryRun });
      default:
        events.skipped(path, "special file");
    }
  }

  async #takeFolder(own: SafePath, { modified, mode }: Pick<Entry, "modified" | "mode">): Promise<void> {
    const { selection, dryRun } = this.#options;
    if (dryRun || selection?.onlyFiles) return;
    this.#names.count(FOLDER_NAMES);
    await this.#folders.make(own);
    this.#times.set(own, { modified, mode });
  }

  async #takeFile(entry: Entry, own: SafePath): Promise<void> {
    if (!this.#options.dryRun) await this.#makeParent(own);
    const place = { storage: this.#place.storage, path: own };
    await downloadFile(this.#client, this.#base + entry.name, place, { ...this.#options, known: entry });
  }

  async #makeParent(own: SafePath): Promise<void> {
    const folder = parentPath(own);
    if (!this.#folders.isMade(folder)) await this.#folders.make(folder);
  }

  async #setTimes(): Promise<void> {
    const { preserve = false, events } = this.#options;
    for (const [path, told] of this.#times) {
      try {
        await this.#place.storage.touch(path, localAttributes(told, preserve));
      } catch (error) {
        if (!(error instanceof FshError)) throw error;
        events.failed(path, error);
      }
    }
  }

  /** Names that are refused anyway go on to be refused: patterns are for such as may be. */
  #isMeant({ name, type }: Entry): boolean {
    const { selection } = this.#options;
    return !selection || name.split("/").some((part) => oddName(part) !== null) ||
      selection.takes(name, type === "directory");
  }

  async *#pages(prefix: string): AsyncGenerator<Entry[]> {
    const { events } = this.#options;
    const listing = this.#client.list(this.#base + prefix, {
      recursive: true,
      count: (names) => this.#names.count(names),
    });
    try {
      for (;;) {
        const page = await listing.next();
        if (page.done) {
          const { skipped } = page.value;
          if (skipped === 0) return;
          return events.skipped(this.#remote, `${skipped} names that are not Unicode or could not be read`);
        }
        const entries = prefix === ""
          ? [...page.value]
          : page.value.map((entry) => ({ ...entry, name: prefix + entry.name }));
        yield entries.filter((entry) => this.#isMeant(entry));
      }
    } finally {
      await listing.return({ count: 0, skipped: 0 });
    }
  }
}
