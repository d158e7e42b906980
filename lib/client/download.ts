import { dirname } from "@std/path";
import { frameBuffers } from "../base/buffer_pool.ts";
import { createDigest, type Digest, type DigestAlgorithm } from "../base/digest.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import { worthKeeping } from "../commands/put.ts";
import type { Sink } from "../session/command.ts";
import { osError } from "../storage/os_error.ts";
import type { FileWriter, WriteOptions } from "../storage/storage.ts";
import { localAttributes } from "./attributes.ts";
import type { Remote } from "./client.ts";
import { entitle, refusal } from "./replacing.ts";
import { isThere } from "./small_downloads.ts";
import { comparison } from "./verify.ts";
import { type FileState, type LocalPlace, type TransferOptions } from "./transfer.ts";

/** Gets one file into its place: a part file first, the name only once all is there and the digest agrees. */
export async function downloadFile(
  client: Remote,
  remote: string,
  place: LocalPlace,
  options: TransferOptions & { known?: FileState },
): Promise<void> {
  const { events, signal, preserve = false } = options;
  const algorithm = comparable(options);
  const look = () => options.known ?? client.stat(remote);
  const compare = comparison(client, remote, place, options);
  if (options.update && await isThere(place, look, compare)) return events.unchanged(remote);
  // Not the server's address, which may change: what is left is compared before it counts.
  const owner = JSON.stringify(["get", remote]);
  const entitlement = await entitle(place, options, options.dryRun ? undefined : { owner, continue: true });
  const { noReplace } = entitlement;
  let { writer } = entitlement;
  if (options.dryRun) return events.planned(remote, (await look()).size);
  let moved = false;
  try {
    let have: Digest | undefined;
    if (options.continue) {
      writer ??= await place.storage.openWrite(place.path, { noReplace, part: { owner, continue: true } });
      moved = writer.offset > 0;
      have = writer.offset > 0 ? createDigest(algorithm) : undefined;
      if (have) await writer.replay((chunk) => have?.update(chunk));
    }
    const { info } = await client.get(remote, {
      algorithm,
      have,
      offset: writer?.offset ?? 0,
      signal,
      limiter: options.limiter,
      priority: options.priority,
      compress: options.compress,
      progress: (bytes) => {
        moved = true;
        events.moved(remote, bytes);
      },
      open: async (info) => {
        writer ??= await openPart(place, owner, { noReplace, size: info.size });
        events.begin(remote, info.size);
        if (have) events.resumed(remote, writer.offset, info.offset > 0);
        if (info.offset === 0 && writer.offset > 0) await writer.restart();
        const opened = writer;
        return (chunk) => opened.write(chunk);
      },
    });
    await writer?.commit(localAttributes(info, preserve));
  } catch (thrown) {
    const error = refusal(toFshError(thrown));
    const goesOn = error.retryable || error.error === "KICKED";
    await writer?.abort({ keep: moved && goesOn && !client.startsOver && worthKeeping(error) });
    throw error;
  }
  events.done(remote);
}

/** What is continued must be compared, whatever was asked for. */
function comparable(
  { algorithm = "crc32", continue: goOn }: Pick<TransferOptions, "algorithm" | "continue">,
): DigestAlgorithm {
  return goOn && algorithm === "none" ? "crc32" : algorithm;
}

/** A part that can be found again, unless another transfer has it. */
async function openPart(place: LocalPlace, owner: string, options: WriteOptions): Promise<FileWriter> {
  const { storage, path } = place;
  try {
    return await storage.openWrite(path, { ...options, part: { owner, continue: false } });
  } catch (error) {
    if (!isError(error, "LOCKED")) throw error;
    return await storage.openWrite(path, options);
  }
}

/** What has gone into a sink so far, so that a get that lost its connection can go on. */
export interface SinkState {
  written: number;
  digest: Digest;
}

export function newSinkState(algorithm: DigestAlgorithm): SinkState {
  return { written: 0, digest: createDigest(comparable({ algorithm, continue: true })) };
}

/** Gets one file into a sink: standard output, a device. Called again with the same state, it goes on. */
export async function downloadTo(
  client: Remote,
  remote: string,
  target: { sink: Sink; state: SinkState },
  options: TransferOptions,
): Promise<void> {
  const { events, signal } = options;
  const { sink, state } = target;
  const again = state.written > 0;
  await client.get(remote, {
    algorithm: state.digest.algorithm,
    ...(again ? { offset: state.written, have: state.digest } : {}),
    signal,
    limiter: options.limiter,
    priority: options.priority,
    compress: options.compress,
    progress: (bytes) => events.moved(remote, bytes),
    open: (info) => {
      events.begin(remote, info.size);
      if (again) events.resumed(remote, state.written, info.offset > 0);
      if (info.offset !== state.written) {
        throw new FshError("SOURCE_CHANGED", { subject: remote, detail: "what was written can't be taken back" });
      }
      return (chunk, crc) => {
        state.written += chunk.length;
        if (!again) state.digest.update(chunk, crc);
        return sink(chunk, crc);
      };
    },
  });
  events.done(remote);
}

/** Opens a device or a FIFO of this machine as a sink. The caller closes the file. */
export function fileSink(
  file: { write(bytes: Uint8Array): Promise<number> },
  name: string,
): (chunk: Uint8Array) => Promise<void> {
  return async (chunk) => {
    const buffer = chunk.length <= frameBuffers.size ? frameBuffers.take() : new Uint8Array(chunk.length);
    buffer.set(chunk);
    const copy = buffer.subarray(0, chunk.length);
    try {
      for (let at = 0; at < copy.length;) at += await file.write(copy.subarray(at));
    } catch (error) {
      throw outputError(error, name);
    } finally {
      if (buffer.length === frameBuffers.size) frameBuffers.give(buffer);
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
