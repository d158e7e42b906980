import { forEachBounded } from "../base/concurrency.ts";
import { equalBytes } from "../base/bytes.ts";
import { createDigest, type DigestAlgorithm } from "../base/digest.ts";
import { FshError, isError } from "../base/errors.ts";
import { childPath, relativePath, type SafePath } from "../base/virtual_path.ts";
import { readInto } from "../commands/source.ts";
import { walk } from "../storage/walk.ts";
import type { Remote } from "./client.ts";
import { NameLimit } from "./name_limit.ts";
import type { LocalPlace, TransferOptions } from "./transfer.ts";

/** How a local file and its counterpart compare. */
export type Verdict = "same" | "differs" | "only here" | "only there";

export interface VerifyOptions {
  readonly algorithm: DigestAlgorithm;
  readonly signal: AbortSignal;
  readonly names?: NameLimit;
  /** `path` is relative to what is compared; empty for the thing itself. */
  readonly found: (path: string, verdict: Verdict) => void;
}

/** Files compared at once: each is read whole on both sides. */
const AT_ONCE = 4;

/** Compares one file with its counterpart by size and digest; both are read, nothing is transferred. */
export async function verifyFile(
  client: Remote,
  place: LocalPlace,
  remote: string,
  options: Pick<VerifyOptions, "algorithm" | "signal">,
): Promise<Verdict> {
  const reader = await place.storage.openRead(place.path);
  try {
    const digest = createDigest(options.algorithm);
    const [theirs, size] = await Promise.all([
      client.hash(remote, { algorithm: options.algorithm }),
      readInto(digest, reader, options),
    ]);
    return size === theirs.size && equalBytes(digest.finish(), theirs.digest) ? "same" : "differs";
  } catch (error) {
    if (error instanceof FshError && error.remote) {
      if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return "only here";
      if (isError(error, "IS_DIRECTORY", "NOT_REGULAR")) return "differs";
    }
    throw error;
  } finally {
    reader.close();
  }
}

/** How `isSame` compares by digest, where that was asked for. */
export function comparison(
  client: Remote,
  remote: string,
  place: LocalPlace,
  options: Pick<TransferOptions, "compareBy" | "signal">,
): (() => Promise<boolean>) | undefined {
  const { compareBy: algorithm, signal = new AbortController().signal } = options;
  if (!algorithm) return undefined;
  return async () => await verifyFile(client, place, remote, { algorithm, signal }) === "same";
}

/** Compares everything below a local folder with everything below a remote one. */
export async function verifyTree(
  client: Remote,
  place: LocalPlace,
  remote: string,
  options: VerifyOptions,
): Promise<void> {
  const base = remote.replace(/\/?$/, "/");
  const bounds = { count: AT_ONCE, weight: Infinity, weigh: () => 1 };
  await forEachBounded(filesBelow(place), bounds, async (path) => {
    const below = relativePath(place.path, path);
    const verdict = await verifyFile(client, { storage: place.storage, path }, base + below, options);
    options.found(below, verdict);
  });
  const { names = new NameLimit() } = options;
  for await (const page of client.list(remote, { recursive: true, count: (more) => names.count(more) })) {
    for (const entry of page) {
      if (entry.type !== "file") continue;
      if (!await hasFile(place, childPath(place.path, entry.name))) options.found(entry.name, "only there");
    }
  }
}

async function* filesBelow(place: LocalPlace): AsyncGenerator<SafePath> {
  for await (const { found } of walk(place.storage, place.path)) {
    for (const { info, path } of found) if (info.type === "file") yield path;
  }
}

async function hasFile(place: LocalPlace, path: SafePath): Promise<boolean> {
  try {
    return (await place.storage.stat(path)).type === "file";
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return false;
    throw error;
  }
}
