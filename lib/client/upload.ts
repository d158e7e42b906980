import { toHex } from "../base/bytes.ts";
import { FshError, isError } from "../base/errors.ts";
import type { PutSource } from "../commands/put.ts";
import { SMALL_FILE, type SmallSource } from "../commands/small_files.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import { walk, type Walked } from "../storage/walk.ts";
import type { Client } from "./client.ts";
import { relativePath } from "../base/virtual_path.ts";
import { forEachOfTree } from "./batches.ts";
import {
  type FileState,
  type LocalPlace,
  oneOfSeveral,
  sameFile,
  type TransferOptions,
  WORTH_RESUMING,
} from "./transfer.ts";

export interface UploadOptions extends TransferOptions {
  /** Make missing folders on the server. */
  readonly parents?: boolean;
}

/** Puts one local file. */
export async function uploadFile(
  client: Client,
  place: LocalPlace,
  remote: string,
  options: UploadOptions,
): Promise<void> {
  const reader = await place.storage.openRead(place.path, { toEnd: true });
  const { size, modified, mode } = reader.info;
  try {
    if (options.update && await isThere(client, reader.info, remote)) return options.events.unchanged(remote);
    if (options.dryRun) return options.events.planned(remote, size);
    await uploadFrom(client, reader, remote, {
      ...options,
      size: size || null,
      modified,
      mode: options.preserve ? mode : null,
      key: size >= WORTH_RESUMING ? await sourceKey(place) : "",
    });
  } finally {
    reader.close();
  }
}

/** Names this machine's file, so that the server finds what an earlier put of it has left. */
async function sourceKey(place: LocalPlace): Promise<string> {
  const { hostname } = networkIdentity();
  const text = new TextEncoder().encode(`${hostname}\0${place.storage.identity}\0${place.path}`);
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", text))).slice(0, 32);
}

function networkIdentity(): { hostname: string } {
  try {
    return { hostname: Deno.hostname() };
  } catch {
    return { hostname: "" };
  }
}

async function isThere(client: Client, own: Stored, remote: string): Promise<boolean> {
  try {
    return sameFile(own, await client.stat(remote));
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return false;
    throw error;
  }
}

/** Puts what a source gives: standard input, a file. */
export async function uploadFrom(
  client: Client,
  source: PutSource,
  remote: string,
  options: UploadOptions & { size: number | null; modified?: number | null; mode?: number | null; key?: string },
): Promise<void> {
  const { events, signal, algorithm, noReplace = false, parents = false, size, modified = null, mode = null } = options;
  const { key = "", continue: goOn = false } = options;
  events.begin(remote, size);
  await client.put(remote, source, {
    size,
    modified,
    mode,
    ...(algorithm ? { algorithm } : {}),
    noReplace,
    parents,
    key,
    continue: goOn,
    resumed: (offset, agrees) => events.resumed(remote, offset, agrees),
    signal,
    limiter: options.limiter,
    priority: options.priority,
    compress: options.compress,
    progress: (bytes) => events.moved(bytes),
  });
  events.done(remote);
}

/** Puts everything below a local folder. Symbolic links and special files are left out and named. */
export async function uploadTree(
  client: Client,
  place: LocalPlace,
  remote: string,
  options: UploadOptions,
): Promise<void> {
  const { events, signal, selection, dryRun = false } = options;
  const { storage } = place;
  if (!dryRun) await client.mkdir(remote, { parents: true });
  const base = remote.endsWith("/") ? remote : `${remote}/`;
  const target = ({ path }: Walked) => base + relativePath(place.path, path);
  const chosen = ({ path, info }: Walked) =>
    !selection || selection.takes(relativePath(place.path, path), info.type === "directory");
  await forEachOfTree(pagesBelow(place, { ...options, chosen }), {
    describe: ({ info }) => info,
    async batch(objects, settled) {
      if (signal?.aborted) throw signal.reason;
      await uploadSmall(client, objects, { storage, target, options, settled });
    },
    async single(object) {
      if (signal?.aborted) throw signal.reason;
      const { info, path } = object;
      await oneOfSeveral(target(object), events, async () => {
        if (info.type === "directory") {
          if (!dryRun && !selection?.onlyFiles) await client.mkdir(target(object), { parents: true });
        } else if (info.type === "symlink") events.skipped(path.slice(1), "symbolic link");
        else if (info.type === "other") events.skipped(path.slice(1), "special file");
        else await uploadFile(client, { storage, path }, target(object), { ...options, parents: true });
      });
    },
  });
}

/** Objects that are passed on at once, so that small files of many folders go together. */
const PAGE = 512;

async function* pagesBelow(
  place: LocalPlace,
  options: TransferOptions & { chosen: (object: Walked) => boolean },
): AsyncGenerator<Walked[]> {
  let page: Walked[] = [];
  for await (const { found, skipped } of walk(place.storage, place.path)) {
    if (skipped > 0) options.events.skipped(place.path, `${skipped} names that are not Unicode or could not be read`);
    page.push(...found.filter(options.chosen));
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  yield page;
}

/** Puts small files of a tree together. */
async function uploadSmall(
  client: Client,
  objects: readonly Walked[],
  job: {
    storage: Storage;
    target: (object: Walked) => string;
    options: UploadOptions;
    settled: (object: Walked) => void;
  },
): Promise<void> {
  const { storage, target, settled } = job;
  const { events, update, dryRun, preserve, noReplace = false, algorithm = "crc32", limiter, signal, compress } =
    job.options;
  const there = update ? await statAll(client, objects.map(target), signal) : null;
  const due = objects.filter((object) => {
    const theirs = there?.get(target(object));
    if (theirs && sameFile(object.info, theirs)) events.unchanged(target(object));
    else if (dryRun) events.planned(target(object), object.info.size);
    else return true;
    settled(object);
    return false;
  });
  const sources: SmallSource[] = [];
  const sent: Walked[] = [];
  let index = 0;
  for await (const found of storage.readSmall(due.map(({ path }) => path), SMALL_FILE)) {
    const object = due[index++] as Walked;
    if (found instanceof FshError) {
      events.failed(target(object), found);
      settled(object);
      // An empty one may be of /proc, say, and have bytes nevertheless; a grown one is small no more.
    } else if (found.content !== null && found.content.length > 0) {
      const { size, modified, mode } = found.info;
      events.begin(target(object), size);
      sources.push({ path: target(object), content: found.content, modified, mode: preserve ? mode : null });
      sent.push(object);
    }
  }
  if (sources.length === 0) return;
  const results = await client.putSmall(sources, {
    algorithm,
    limiter,
    compress,
    signal,
    noReplace,
    parents: true,
  });
  for (const [index, object] of sent.entries()) {
    const failure = results[index];
    settled(object);
    if (failure) {
      events.failed(target(object), failure);
      continue;
    }
    events.moved(sources[index]?.content.length ?? 0);
    events.done(target(object));
  }
}

/** What the server has under these paths; what is not there, or no file, is left out. */
async function statAll(
  client: Client,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, FileState>> {
  const there = new Map<string, FileState>();
  await client.getSmall(paths, {
    algorithm: "none",
    limit: 0,
    signal,
    take: async (got) => {
      for (const { path, error, ...rest } of got) {
        if (error === null && "file" in rest) there.set(path, { type: "file", ...rest.file });
      }
      await undefined;
    },
  });
  return there;
}
