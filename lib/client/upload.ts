import { forEachBounded } from "../base/concurrency.ts";
import { toHex } from "../base/bytes.ts";
import { isError } from "../base/errors.ts";
import type { PutSource } from "../commands/put.ts";
import type { Stored } from "../storage/storage.ts";
import { walk, type Walked } from "../storage/walk.ts";
import type { Client } from "./client.ts";
import type { LocalPlace } from "./download.ts";
import { relativePath } from "../base/virtual_path.ts";
import {
  BYTES_AT_ONCE,
  FILES_AT_ONCE,
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
  const bounds = { count: FILES_AT_ONCE, weight: BYTES_AT_ONCE, weigh: ({ info }: Walked) => info.size };
  await forEachBounded(objectsBelow(place, options), bounds, async ({ info, path }) => {
    if (signal?.aborted) throw signal.reason;
    const below = relativePath(place.path, path);
    const isFolder = info.type === "directory";
    if (selection && !selection.takes(below, isFolder)) return;
    const target = remote.endsWith("/") ? remote + below : `${remote}/${below}`;
    await oneOfSeveral(target, events, async () => {
      if (isFolder) return dryRun || selection?.onlyFiles ? undefined : await client.mkdir(target, { parents: true });
      if (info.type === "symlink") return events.skipped(path.slice(1), "symbolic link");
      if (info.type === "other") return events.skipped(path.slice(1), "special file");
      await uploadFile(client, { storage, path }, target, { ...options, parents: true });
    });
  });
}

async function* objectsBelow(place: LocalPlace, options: TransferOptions): AsyncGenerator<Walked> {
  for await (const { found, skipped } of walk(place.storage, place.path)) {
    if (skipped > 0) options.events.skipped(place.path, `${skipped} names that are not Unicode or could not be read`);
    yield* found;
  }
}
