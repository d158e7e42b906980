import { toHex } from "../base/bytes.ts";
import { isError } from "../base/errors.ts";
import type { PutSource } from "../commands/put.ts";
import type { Stored } from "../storage/storage.ts";
import type { Remote } from "./client.ts";
import { isSame, type LocalPlace, type TransferOptions } from "./transfer.ts";
import { comparison } from "./verify.ts";

export interface UploadOptions extends TransferOptions {
  /** Make missing folders on the server. */
  readonly parents?: boolean;
}

/** Puts one local file. */
export async function uploadFile(
  client: Remote,
  place: LocalPlace,
  remote: string,
  options: UploadOptions,
): Promise<void> {
  const reader = await place.storage.openRead(place.path, { toEnd: true });
  const { size, modified, mode } = reader.info;
  try {
    const compare = comparison(client, remote, place, options);
    if (options.update && await isThere(client, remote, reader.info, compare)) return options.events.unchanged(remote);
    if (options.dryRun) return options.events.planned(remote, size);
    await uploadFrom(client, reader, remote, {
      ...options,
      size: size || null,
      modified,
      mode: options.preserve ? mode : null,
      key: await sourceKey(place),
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

async function isThere(
  client: Remote,
  remote: string,
  own: Stored,
  compare?: () => Promise<boolean>,
): Promise<boolean> {
  try {
    return await isSame(own, await client.stat(remote), compare);
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return false;
    throw error;
  }
}

/** Puts what a source gives: standard input, a file. */
export async function uploadFrom(
  client: Remote,
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
    progress: (bytes) => events.moved(remote, bytes),
  });
  events.done(remote);
}
