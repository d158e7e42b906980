import { forEachBounded } from "../base/concurrency.ts";
import { isError } from "../base/errors.ts";
import { type SafePath } from "../base/virtual_path.ts";
import { relativePath } from "../base/virtual_path.ts";
import { walk, type Walked } from "../storage/walk.ts";
import { forEachOfTree } from "./batches.ts";
import type { Remote } from "./client.ts";
import { uploadSmall } from "./small_uploads.ts";
import { type LocalPlace, oneOfSeveral } from "./transfer.ts";
import { transferLink } from "./tree_links.ts";
import { uploadFile, type UploadOptions } from "./upload.ts";

/** Objects that are passed on at once, so that small files of many folders go together. */
const PAGE = 512;
/** Requests under way at once for the times of folders. */
const TOUCHES = { count: 64, weight: Infinity, weigh: () => 1 };

/** Puts everything below a local folder. */
export async function uploadTree(
  client: Remote,
  place: LocalPlace,
  remote: string,
  options: UploadOptions,
): Promise<void> {
  await new TreeUpload(client, place, remote, options).run();
}

class TreeUpload {
  readonly #client: Remote;
  readonly #place: LocalPlace;
  readonly #remote: string;
  readonly #base: string;
  readonly #options: UploadOptions;
  /** Times of folders, which are set when nothing more goes into them. */
  readonly #times = new Map<string, Pick<Walked["info"], "modified" | "mode">>();

  constructor(client: Remote, place: LocalPlace, remote: string, options: UploadOptions) {
    this.#client = client;
    this.#place = place;
    this.#remote = remote;
    this.#base = remote.endsWith("/") ? remote : `${remote}/`;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { dryRun = false } = this.#options;
    const { storage, path } = this.#place;
    if (!dryRun) {
      await this.#client.mkdir(this.#remote, { parents: true });
      this.#times.set(this.#remote, await storage.stat(path));
    }
    await this.#walk(path, false);
    if (!dryRun) await this.#setTimes();
  }

  async #walk(from: SafePath, followed: boolean): Promise<void> {
    const { signal, events } = this.#options;
    const target = (object: Walked) => this.#target(object.path);
    await forEachOfTree(this.#pages(from), {
      describe: ({ info }) => info,
      batch: async (objects, settled) => {
        if (signal?.aborted) throw signal.reason;
        const { storage } = this.#place;
        await uploadSmall(this.#client, objects, { storage, target, options: this.#options, settled });
      },
      single: async (object) => {
        if (signal?.aborted) throw signal.reason;
        await oneOfSeveral(target(object), events, () => this.#take(object, followed));
      },
    });
  }

  #target(path: SafePath): string {
    return this.#base + relativePath(this.#place.path, path);
  }

  async #take({ info, path }: Walked, followed: boolean): Promise<void> {
    const { events, dryRun = false, links = "skip" } = this.#options;
    const { storage } = this.#place;
    const target = this.#target(path);
    const below = relativePath(this.#place.path, path);
    const takeFile = () => uploadFile(this.#client, { storage, path }, target, { ...this.#options, parents: true });
    switch (info.type) {
      case "directory":
        return await this.#takeFolder(target, info);
      case "file":
        return await takeFile();
      case "symlink":
        return await transferLink({ path: below, below, followed }, {
          readLink: () => storage.readLink(path),
          make: (text) => this.#makeLink(target, text),
          look: () => storage.stat(path),
          takeFile,
          takeFolder: async () => {
            await this.#takeFolder(target, await storage.stat(path));
            await this.#walk(path, true);
          },
        }, { mode: links, events, dryRun });
      default:
        events.skipped(below, "special file");
    }
  }

  /** The folder that it goes into may still be under way, or not be one of those that are meant. */
  async #makeLink(target: string, text: string): Promise<void> {
    try {
      await this.#client.symlink(target, text);
    } catch (error) {
      if (!isError(error, "NOT_FOUND")) throw error;
      await this.#client.mkdir(target.slice(0, target.lastIndexOf("/")) || "/", { parents: true });
      await this.#client.symlink(target, text);
    }
  }

  async #takeFolder(target: string, { modified, mode }: Pick<Walked["info"], "modified" | "mode">): Promise<void> {
    const { selection, dryRun } = this.#options;
    if (dryRun || selection?.onlyFiles) return;
    await this.#client.mkdir(target, { parents: true });
    this.#times.set(target, { modified, mode });
  }

  async #setTimes(): Promise<void> {
    const { preserve = false, events } = this.#options;
    await forEachBounded(this.#times, TOUCHES, async ([path, { modified, mode }]) => {
      await oneOfSeveral(
        path,
        events,
        () => this.#client.touch(path, { modified, mode: preserve ? mode : null }),
      );
    });
  }

  async *#pages(from: SafePath): AsyncGenerator<Walked[]> {
    const { events, selection } = this.#options;
    const chosen = ({ path, info }: Walked) =>
      !selection || selection.takes(relativePath(this.#place.path, path), info.type === "directory");
    let page: Walked[] = [];
    for await (const { found, skipped } of walk(this.#place.storage, from)) {
      if (skipped > 0) events.skipped(from, `${skipped} names that are not Unicode or could not be read`);
      page.push(...found.filter(chosen));
      if (page.length < PAGE) continue;
      yield page;
      page = [];
    }
    yield page;
  }
}
