import { FshError, isError } from "../base/errors.ts";
import { childPath, parentPath, type SafePath } from "../base/virtual_path.ts";
import { makeFolders } from "../commands/mkdir.ts";
import { type Got, SMALL_FILE } from "../commands/small_files.ts";
import type { NewFile, Storage } from "../storage/storage.ts";
import type { Entry } from "../wire/field.ts";
import { localAttributes } from "./attributes.ts";
import type { Remote } from "./client.ts";
import { entitle, refusal } from "./replacing.ts";
import { comparison } from "./verify.ts";
import { type FileState, isSame, type LocalPlace, type TransferOptions } from "./transfer.ts";

export interface SmallDownloadsOptions {
  /** The folder on the server, with a slash at its end. */
  readonly base: string;
  readonly place: LocalPlace;
  readonly folders: FolderMaker;
  readonly options: TransferOptions;
  /** Called for each entry that is in place, was there, or has failed by itself. */
  readonly settled: (entry: Entry) => void;
}

/** Gets small files of a tree together. */
export class SmallDownloads {
  readonly #client: Remote;
  readonly #options: SmallDownloadsOptions;
  /** Those that are to come, by their path on the server. */
  readonly #due = new Map<string, { entry: Entry; own: SafePath }>();

  constructor(client: Remote, options: SmallDownloadsOptions) {
    this.#client = client;
    this.#options = options;
  }

  async run(entries: readonly Entry[]): Promise<void> {
    const { options } = this.#options;
    for (const entry of entries) {
      const considering = this.#consider(entry);
      if (considering) await considering;
    }
    if (this.#due.size === 0) return;
    const { algorithm = "crc32", limiter, compress, signal } = options;
    await this.#client.getSmall([...this.#due.keys()], {
      algorithm,
      limiter,
      compress,
      signal,
      limit: SMALL_FILE,
      take: (files) => this.#store(files),
    });
  }

  /** Notes what must be fetched, and sees to its folder; waits only where there is something to wait for. */
  #consider(entry: Entry): Promise<void> | undefined {
    const { base, place, folders, settled } = this.#options;
    const { update, dryRun, events } = this.#options.options;
    const path = base + entry.name;
    const fail = (error: unknown) => {
      if (!(error instanceof FshError)) throw error;
      events.failed(path, error);
      settled(entry);
    };
    try {
      const own = childPath(place.path, entry.name);
      const fetch = () => void this.#due.set(path, { entry, own });
      const making = folders.isMade(parentPath(own)) ? undefined : () => folders.make(parentPath(own));
      if (!update && !dryRun && !making) return fetch();
      return (async () => {
        const compare = comparison(this.#client, path, { ...place, path: own }, this.#options.options);
        if (update && await isThere({ ...place, path: own }, () => entry, compare)) events.unchanged(path);
        else if (dryRun) {
          await entitle({ ...place, path: own }, this.#options.options);
          events.planned(path, entry.size);
        } else {
          await making?.();
          return fetch();
        }
        settled(entry);
      })().catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  async #store(got: readonly Got[]): Promise<void> {
    const { settled, options } = this.#options;
    const { events, preserve = false } = options;
    const files: NewFile[] = [];
    const paths: string[] = [];
    const settle = (path: string) => {
      const due = this.#due.get(path);
      if (due) settled(due.entry);
    };
    for (const { path, error, ...rest } of got) {
      const due = this.#due.get(path);
      const file = "file" in rest ? rest.file : null;
      if (!due) continue;
      if (error !== null || file === null) {
        if (error) events.failed(path, error);
        settle(path);
        continue;
      }
      // It has grown since it was listed: not settled, it comes by itself.
      if (file.content.length !== file.size) continue;
      events.begin(path, file.size);
      events.moved(path, file.size);
      files.push({ path: due.own, content: file.content, ...localAttributes(file, preserve) });
      paths.push(path);
    }
    const failures = await this.#write(files);
    for (const [index, path] of paths.entries()) {
      const failure = failures[index];
      if (failure) events.failed(path, failure);
      else events.done(path);
      settle(path);
    }
  }

  /** Writes them all; what is in the way is asked about, where somebody can be, once the others are in place. */
  async #write(files: readonly NewFile[]): Promise<(FshError | null)[]> {
    const { place: { storage }, options: { noReplace = false, mayReplace } } = this.#options;
    const failures = await storage.writeSmall(files, { noReplace });
    for (const [index, file] of files.entries()) {
      const failure = failures[index];
      if (!noReplace || !isError(failure, "EXISTS")) continue;
      const agreed = await mayReplace?.(failure.subject ?? file.path);
      failures[index] = agreed ? (await storage.writeSmall([file]))[0] ?? null : refusal(failure);
    }
    return failures;
  }
}

/** Whether the file is there as the server has it. A link that leads out of the storage is none. */
export async function isThere(
  place: LocalPlace,
  look: () => FileState | Promise<FileState>,
  compare?: () => Promise<boolean>,
): Promise<boolean> {
  try {
    const own = await place.storage.stat(place.path);
    return own.type === "file" && await isSame(own, await look(), compare);
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_PERMITTED", "LINK_LOOP") && !error.remote) return false;
    throw error;
  }
}

/** Makes each folder once, however many files go into it. */
export class FolderMaker {
  readonly #storage: Storage;
  readonly #made = new Set<SafePath>();
  readonly #making = new Map<SafePath, Promise<void>>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  isMade(path: SafePath): boolean {
    return this.#made.has(path);
  }

  async make(path: SafePath): Promise<void> {
    const making = this.#making.get(path) ?? makeFolders(this.#storage, path);
    this.#making.set(path, making);
    try {
      await making;
      this.#made.add(path);
    } finally {
      this.#making.delete(path);
    }
  }
}
