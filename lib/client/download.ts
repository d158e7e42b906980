import { dirname } from "@std/path";
import { forEachBounded } from "../base/concurrency.ts";
import { FshError } from "../base/errors.ts";
import { childPath, parentPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import { makeFolders } from "../commands/mkdir.ts";
import type { Sink } from "../session/command.ts";
import { osError } from "../storage/os_error.ts";
import type { Storage } from "../storage/storage.ts";
import type { Entry } from "../wire/field.ts";
import type { Client } from "./client.ts";
import { FILES_AT_ONCE, oneOfSeveral, type TransferOptions } from "./transfer.ts";

/** A place on this side: a storage and a path in it. */
export interface LocalPlace {
  readonly storage: Storage;
  readonly path: SafePath;
}

/** Gets one file into its place: a part file first, the name only once all is there and the digest agrees. */
export async function downloadFile(
  client: Client,
  remote: string,
  place: LocalPlace,
  options: TransferOptions,
): Promise<void> {
  const { events, signal, algorithm, noReplace = false, preserve = false } = options;
  const writer = await place.storage.openWrite(place.path, { noReplace });
  try {
    const { info } = await client.get(remote, {
      ...(algorithm ? { algorithm } : {}),
      signal,
      progress: (bytes) => events.moved(bytes),
      open: (info) => {
        events.begin(remote, info.size);
        return (chunk) => writer.write(chunk);
      },
    });
    await writer.commit({ modified: info.modified, mode: preserve ? info.mode : null });
  } catch (error) {
    await writer.abort();
    throw error;
  }
  events.done(remote);
}

/** Gets one file into a sink: standard output, a device. */
export async function downloadTo(client: Client, remote: string, sink: Sink, options: TransferOptions): Promise<void> {
  const { events, signal, algorithm } = options;
  await client.get(remote, {
    ...(algorithm ? { algorithm } : {}),
    signal,
    progress: (bytes) => events.moved(bytes),
    open: (info) => {
      events.begin(remote, info.size);
      return sink;
    },
  });
  events.done(remote);
}

/**
 * Gets everything below a folder. The names are the server's, so each is checked like a stranger's: one that would lead
 * out of the place is refused.
 */
export async function downloadTree(
  client: Client,
  remote: string,
  place: LocalPlace,
  options: TransferOptions,
): Promise<void> {
  const { events, signal } = options;
  const { storage } = place;
  const base = remote.endsWith("/") ? remote : `${remote}/`;
  if (place.path !== ROOT) await makeFolders(storage, place.path);
  await forEachBounded(entriesBelow(client, remote, options), FILES_AT_ONCE, async (entry) => {
    if (signal?.aborted) throw signal.reason;
    await oneOfSeveral(base + entry.name, events, async () => {
      const path = childPath(place.path, entry.name);
      if (entry.type === "directory") return await makeFolders(storage, path);
      if (entry.type !== "file") return events.skipped(base + entry.name, describe(entry));
      await makeFolders(storage, parentPath(path));
      await downloadFile(client, base + entry.name, { storage, path }, options);
    });
  });
}

async function* entriesBelow(client: Client, remote: string, options: TransferOptions): AsyncGenerator<Entry> {
  const listing = client.list(remote, { recursive: true });
  try {
    for (;;) {
      const page = await listing.next();
      if (page.done) {
        const { skipped } = page.value;
        if (skipped > 0) options.events.skipped(remote, `${skipped} names that are not Unicode or could not be read`);
        return;
      }
      yield* page.value;
    }
  } finally {
    await listing.return({ count: 0, skipped: 0 });
  }
}

function describe(entry: Entry): string {
  return entry.type === "symlink" ? "symbolic link" : "special file";
}

/** Opens a device or a FIFO of this machine as a sink. The caller closes the file. */
export function fileSink(
  file: { write(bytes: Uint8Array): Promise<number> },
  name: string,
): (chunk: Uint8Array) => Promise<void> {
  return async (chunk) => {
    const copy = chunk.slice();
    try {
      for (let at = 0; at < copy.length;) at += await file.write(copy.subarray(at));
    } catch (error) {
      throw outputError(error, name);
    }
  };
}

/** A failed write to something that is no file of ours. */
export function outputError(error: unknown, name: string): FshError {
  if (error instanceof Deno.errors.BrokenPipe) {
    return new FshError("CANCELLED", { subject: name, detail: "its reader has gone", cause: error });
  }
  return osError(error, name);
}

/** The folder that a local file lies in, for opening a storage there. */
export function folderOf(path: string): string {
  const folder = dirname(path);
  if (folder === path) throw new FshError("IS_DIRECTORY", { subject: path });
  return folder;
}
