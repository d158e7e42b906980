import { frameBuffers } from "../base/buffer_pool.ts";
import { createDigest, type DigestAlgorithm } from "../base/digest.ts";
import { equalBytes } from "../base/bytes.ts";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { Rate } from "../base/rate_limiter.ts";
import type { SafePath } from "../base/virtual_path.ts";
import {
  command,
  type CommandContext,
  type CommandStream,
  type Place,
  type Priority,
  type RequestOpener,
} from "../session/command.ts";
import type { CompressMode } from "../wire/compression.ts";
import type { FileWriter } from "../storage/storage.ts";
import { type FrameFields, OPTION_CONTINUE, OPTION_NO_REPLACE, OPTION_PARENTS } from "../wire/frames.ts";
import { expect, interruptible } from "./exchange.ts";
import { receiveBody } from "./receive_body.ts";
import { sendBody } from "./send_body.ts";
import { readInto, type Source } from "./source.ts";
import { compareSums, digestText, type Progress, type Sum } from "./sum.ts";
import { contentSink } from "./content_sink.ts";
import { makePlaces, placeAbove } from "./mkdir.ts";
import { PutRoom } from "./put_room.ts";
import { LEAST_PAYLOAD } from "./send_buffers.ts";

/** Copies of a chunk at once while plugins look at it: the put's, the plugins', and the one on its way to their process. */
const CONTENT_COPIES = 4;

export const putCommand = command({
  request: "PUT",
  writes: true,
  async serve(stream, fields, context) {
    const { guard, report } = context;
    const place = await guard.admit(fields.path, { size: fields.size });
    const path = place.real;
    const room = new PutRoom(context, { ...place, size: fields.size });
    // What an earlier put left takes its place already, and is known only once it is open.
    await room.check(fields.options & OPTION_CONTINUE ? fields.size ?? 0 : 0);
    const writer = await openWriter(path, fields, context).catch(async (error) => {
      if (!(fields.options & OPTION_PARENTS) || !isError(error, "NOT_FOUND")) throw error;
      await makePlaces(await placeAbove(place, context), context);
      return await openWriter(path, fields, context);
    });
    const id = fields.key === "" ? null : putId(path, fields.key, context);
    const done = Promise.withResolvers<void>();
    const running = { stop: () => (stream.cancel(new FshError("TAKEN_OVER", { subject: path })), done.promise) };
    const leave = id === null ? undefined : context.puts.enter(id, running);
    try {
      const sum = await receive(stream, writer, { place, fields, context, room });
      report.digest = digestText(sum);
      report.committed({ place, size: sum.size, bytes: report.bytes, digest: report.digest });
      await stream.send("END", sum, { fin: true });
    } finally {
      leave?.();
      done.resolve();
    }
  },
});

function putId(path: SafePath, key: string, context: CommandContext): string {
  return JSON.stringify([context.user, key, path]);
}

/**
 * A put that wants to continue takes over its own half-open predecessor. One that begins anew, while another of the same
 * key is running, leaves that alone: both complete.
 */
async function openWriter(path: SafePath, fields: FrameFields<"PUT">, context: CommandContext): Promise<FileWriter> {
  const { storage, user, puts } = context;
  const noReplace = (fields.options & OPTION_NO_REPLACE) !== 0;
  const expected = { noReplace, ...(fields.size === null ? {} : { size: fields.size }) };
  if (fields.key === "") return await storage.openWrite(path, expected);
  const goOn = (fields.options & OPTION_CONTINUE) !== 0;
  if (goOn) await puts.stop(putId(path, fields.key, context));
  const part = { owner: JSON.stringify([user, fields.key]), continue: goOn };
  try {
    return await storage.openWrite(path, { ...expected, part });
  } catch (error) {
    if (goOn || !isError(error, "LOCKED")) throw error;
    return await storage.openWrite(path, expected);
  }
}

async function receive(
  stream: CommandStream,
  writer: FileWriter,
  request: { place: Place; fields: FrameFields<"PUT">; context: CommandContext; room: PutRoom },
): Promise<Sum> {
  const { place, context: { limiter, report, content, work }, room } = request;
  const { size, modified, mode, algorithm, options, key } = request.fields;
  const path = place.asked;
  const sink = content && contentSink(content, writer, { place, size, transfer: report.transfer });
  try {
    let digest = createDigest(algorithm);
    if (options & OPTION_CONTINUE) {
      await replaying(stream, 1, (options) =>
        writer.replay((chunk) => {
          digest.update(chunk);
          return work.turn();
        }, options));
      await stream.send("ACCEPT", { offset: writer.offset, algorithm, digest: digest.peek() });
      const { offset } = (await expect(stream, "BEGIN")).fields;
      if (offset !== 0 && offset !== writer.offset) {
        throw new FshError("BAD_OFFSET", { subject: path, detail: `${offset}, not ${writer.offset} or 0` });
      }
      if (offset === 0) {
        await writer.restart();
        digest = createDigest(algorithm);
      }
    }
    const begun = writer.offset;
    if (options & OPTION_CONTINUE) await room.check(begun);
    if (sink && begun > 0) await replaying(stream, CONTENT_COPIES, (options) => sink.replay(options));
    report.bytes = 0;
    let came = begun;
    const take = (chunk: Uint8Array) => {
      came += chunk.length;
      room.take(chunk.length, came);
      const busy = sink ? sink.write(chunk) : writer.write(chunk);
      return busy ? busy.then(() => room.written(came)) : room.written(came);
    };
    const sum = await receiveBody(stream, take, {
      digest,
      limit: size,
      begun,
      limiter,
      copies: sink ? CONTENT_COPIES : 1,
      progress: (bytes) => report.bytes = (report.bytes ?? 0) + bytes,
      subject: path,
    });
    if (size !== null && sum.size !== size) {
      throw new FshError("SIZE_MISMATCH", { subject: path, detail: `${sum.size} of ${size} announced bytes came` });
    }
    await sink?.end();
    await writer.commit({ modified, mode });
    return sum;
  } catch (error) {
    sink?.close();
    await writer.abort({ keep: key !== "" && !sink?.refused && worthKeeping(toFshError(error)) });
    throw error;
  }
}

/** Has memory for what is read again, and for no longer: nobody holds any while the peer is waited for. */
async function replaying(
  stream: CommandStream,
  copies: number,
  replay: (options: { readonly most: number }) => Promise<void>,
): Promise<void> {
  using lease = await stream.memory.take(copies * LEAST_PAYLOAD, copies * frameBuffers.size);
  await replay({ most: lease.bytes / copies });
}

const HOPELESS = [
  "DIGEST_MISMATCH",
  "SIZE_MISMATCH",
  "SOURCE_CHANGED",
  "NO_SPACE",
  "TOO_LARGE",
  "EXISTS",
  "PUT_TOO_LARGE",
  "DISK_RESERVED",
] as const;

/** An interrupted transfer can go on where it was; one that went wrong can not. */
export function worthKeeping(error: FshError): boolean {
  return !isError(error, ...HOPELESS);
}

/** A source that can be read again from its beginning, for comparing what the server has. */
export interface PutSource extends Source {
  /** Begins again at `offset`. */
  seek?(offset: number): Promise<void>;
}

export interface PutOptions {
  /** Bytes that will come; null: not known. */
  readonly size: number | null;
  readonly modified?: number | null;
  readonly mode?: number | null;
  readonly algorithm?: DigestAlgorithm;
  /** Refuse rather than replace. */
  readonly noReplace?: boolean;
  /** Make missing folders. */
  readonly parents?: boolean;
  /** Names the source, so that an interrupted put can be continued; empty: it can't. */
  readonly key?: string;
  /** Continue what an earlier put of the same key left. The source must be able to seek. */
  readonly continue?: boolean;
  /** Called when the server had `offset` bytes already: `agrees` and they count, or all begins anew. */
  readonly resumed?: (offset: number, agrees: boolean) => void;
  readonly limiter?: Rate | undefined;
  readonly priority?: Priority | undefined;
  readonly compress?: CompressMode | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Puts a file; resolves once the server has it in place, durable as it is set to be, and the digests agree. */
export async function put(
  session: RequestOpener,
  path: string,
  source: PutSource,
  options: PutOptions,
): Promise<Sum> {
  const { size, modified = null, mode = null, key = "", signal } = options;
  const goOn = options.continue === true && key !== "" && source.seek !== undefined;
  // What is continued must be compared, whatever was asked for.
  const algorithm = goOn && options.algorithm === "none" ? "crc32" : options.algorithm ?? "crc32";
  const stream = session.open("PUT", {
    path,
    size,
    modified,
    mode,
    algorithm,
    options: (options.noReplace ? OPTION_NO_REPLACE : 0) | (options.parents ? OPTION_PARENTS : 0) |
      (goOn ? OPTION_CONTINUE : 0),
    key,
  });
  stream.prioritize(options.priority ?? "normal");
  return await interruptible(stream, signal, async () => {
    const { digest, begun } = goOn
      ? await agree(stream, source, algorithm, options)
      : { digest: createDigest(algorithm), begun: 0 };
    const sum = await sendBody(stream, source, {
      digest,
      begun,
      size: size === null ? null : size - begun,
      limiter: options.limiter,
      compress: options.compress,
      progress: options.progress,
      end: async (sum) => {
        if (size !== null && sum.size !== size) {
          throw new FshError("SOURCE_CHANGED", { detail: `${sum.size} bytes were left of ${size}` });
        }
        await stream.send("END", sum, { fin: true });
      },
    });
    compareSums(sum, (await expect(stream, "END")).fields, path);
    return sum;
  });
}

/** Compares what the server has with the beginning of the source; the source then stands where DATA begin. */
async function agree(stream: CommandStream, source: PutSource, algorithm: DigestAlgorithm, options: PutOptions) {
  const { offset, digest: theirs } = (await expect(stream, "ACCEPT")).fields;
  const digest = createDigest(algorithm);
  let begun = 0;
  if (offset > 0 && offset <= (options.size ?? Infinity)) {
    await source.seek?.(0);
    const own = await readInto(digest, source, { signal: stream.signal, memory: stream.memory, limit: offset });
    if (own === offset && equalBytes(digest.peek(), theirs)) begun = offset;
  }
  if (offset > 0) options.resumed?.(offset, begun === offset);
  await source.seek?.(begun);
  await stream.send("BEGIN", { offset: begun });
  return { digest: begun > 0 ? digest : createDigest(algorithm), begun };
}
