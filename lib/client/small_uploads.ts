import { Arena } from "../base/arena.ts";
import { FshError } from "../base/errors.ts";
import { SMALL_FILE, type SmallSource } from "../commands/small_files.ts";
import type { Storage } from "../storage/storage.ts";
import type { Walked } from "../storage/walk.ts";
import type { Remote } from "./client.ts";
import { type FileState, isSame } from "./transfer.ts";
import { comparison } from "./verify.ts";
import type { UploadOptions } from "./upload.ts";

/** Puts small files of a tree together. */
export async function uploadSmall(
  client: Remote,
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
  const due: Walked[] = [];
  for (const object of objects) {
    const theirs = there?.get(target(object));
    const place = { storage, path: object.path };
    const compare = comparison(client, target(object), place, job.options);
    if (theirs && await isSame(object.info, theirs, compare)) events.unchanged(target(object));
    else if (dryRun) events.planned(target(object), object.info.size);
    else {
      due.push(object);
      continue;
    }
    settled(object);
  }
  using room = new Arena();
  const sources: SmallSource[] = [];
  const sent: Walked[] = [];
  let index = 0;
  for await (const found of storage.readSmall(due.map(({ path }) => path), SMALL_FILE, room)) {
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
    events.moved(target(object), sources[index]?.content.length ?? 0);
    events.done(target(object));
  }
}

/** What the server has under these paths; what is not there, or no file, is left out. */
async function statAll(
  client: Remote,
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
