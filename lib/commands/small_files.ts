import { Arena } from "../base/arena.ts";
import { clipUtf8, encodeUtf8 } from "../base/bytes.ts";
import { type DigestAlgorithm, digestOf, hasDigest } from "../base/digest.ts";
import { errorName, FshError, toFshError } from "../base/errors.ts";
import type { Rate } from "../base/rate_limiter.ts";
import {
  command,
  type CommandContext,
  type CommandStream,
  type Deed,
  type Place,
  type RequestOpener,
} from "../session/command.ts";
import type { SmallFile } from "../storage/storage.ts";
import { MAX_FILES, PACKED_OVERHEAD, type PackedFile } from "../wire/field.ts";
import { OPTION_NO_REPLACE, OPTION_PARENTS } from "../wire/frames.ts";
import { type CompressMode, Compressor } from "../wire/compression.ts";
import { compressMode, compressOption } from "./compress_option.ts";
import { expect, interruptible } from "./exchange.ts";
import { digestText } from "./sum.ts";
import { Incoming } from "./incoming.ts";

/** What GETS takes: two arenas with a block each, and the frame that is made of them; less with small frames. In bytes. */
const GETS_COST = { least: 336 * 1024, most: 768 * 1024 };

/** Largest file that counts as small, in bytes: one always fits into a frame and a window. */
export const SMALL_FILE = 64 * 1024;
/**
 * Bytes that a FILES frame has at the most. Beyond a quarter of a megabyte the C library maps memory anew for each, and
 * touching that costs more than the copy.
 */
export const FRAME_BYTES = 192 * 1024;
const NOTHING = new Uint8Array(0);
/** Bytes of text that say why a file did not come. */
const MAX_DETAIL = 256;
/** What people are told may be damaged; they are told it all the same. */
const LENIENT = new TextDecoder();

export const getsCommand = command({
  request: "GETS",
  writes: false,
  async serve(stream, { algorithm, limit, options, paths }, context) {
    const { storage, limiter, report, work } = context;
    checkCount(paths.length, context);
    using lease = await stream.memory.take(GETS_COST.least, GETS_COST.most);
    const most = Math.min(limit, SMALL_FILE);
    const frame = lease.bytes < GETS_COST.most ? SMALL_FILE : FRAME_BYTES;
    const packer = new Packer(stream, { limiter, compress: compressMode(options), frame });
    // Two in turn: the file that a frame has no room for lies in one, those of the next frame in the other.
    using first = new Arena();
    using second = new Arena();
    let room = first;
    await work.turn();
    for (const run of await allowed(paths, context)) {
      if (run.error !== null) {
        report.answered({ place: run.place }, run.error);
        await packer.add(failedFile(run.error));
        continue;
      }
      const places = run.places.values();
      const reals = run.places.map(({ real }) => real);
      for await (const found of storage.readSmall(reals, most, { take: (bytes) => room.take(bytes) })) {
        const file = found instanceof FshError ? failedFile(found) : packedFile(found, algorithm);
        const place = places.next().value;
        if (report.heard) {
          report.answered({ place, ...deedOf(file, algorithm) }, found instanceof FshError ? found : null);
        }
        const full = packer.add(file);
        if (full) {
          await full;
          room = room === first ? second : first;
          room.reset();
        }
        const turn = work.turn();
        if (turn) await turn;
      }
    }
    await packer.flush();
    await stream.send("DONE", { count: paths.length, skipped: 0 }, { fin: true });
  },
});

/** @throws {FshError} REQUEST_TOO_LARGE */
function checkCount(files: number, { bounds }: CommandContext): void {
  const most = bounds?.request ?? Infinity;
  if (files > most) throw new FshError("REQUEST_TOO_LARGE", { detail: `at most ${most}; ask for fewer at a time` });
}

/** Paths that follow each other and are all allowed, or one that is not. */
type Run =
  | { readonly error: null; readonly places: Place[] }
  | { readonly error: FshError; readonly place: Place };

async function allowed(paths: readonly string[], { guard }: CommandContext): Promise<Run[]> {
  const runs: Run[] = [];
  for (const { place, error } of await guard.admitAll(paths.map((path) => ({ path })))) {
    const last = runs.at(-1);
    if (error) runs.push({ error, place });
    else if (last && last.error === null) last.places.push(place);
    else runs.push({ error: null, places: [place] });
  }
  return runs;
}

/** What events tell of a file that was moved whole. */
function deedOf({ code, size, content, digest }: PackedFile, algorithm: string): Deed {
  if (code !== 0) return { size: 0, bytes: 0, digest: undefined };
  return { size, bytes: content.length, digest: digestText({ algorithm, digest }) };
}

/** An answer needs no path: it is the one that was asked for. In place of the content stands why there is none. */
function failedFile(error: FshError): PackedFile {
  const content = encodeUtf8(clipUtf8(error.detail ?? "", MAX_DETAIL));
  return { path: "", code: error.code, size: content.length, modified: null, mode: null, digest: NOTHING, content };
}

function packedFile({ info, content }: SmallFile, algorithm: string): PackedFile {
  const { size, modified, mode } = info;
  if (content === null) return { path: "", code: 0, size, modified, mode, digest: NOTHING, content: NOTHING };
  return { path: "", code: 0, size, modified, mode, digest: digestOf(content, algorithm), content };
}

/** Puts files together into frames that the stream takes. */
class Packer {
  readonly #stream: CommandStream;
  readonly #limiter: Rate | undefined;
  readonly #compressor: Compressor;
  /** Bytes of a frame at the most. */
  readonly #frame: number;
  #files: PackedFile[] = [];
  #bytes = 2;

  constructor(
    stream: CommandStream,
    options: { limiter?: Rate | undefined; compress?: CompressMode | undefined; frame?: number },
  ) {
    this.#frame = options.frame ?? FRAME_BYTES;
    this.#stream = stream;
    this.#limiter = options.limiter;
    this.#compressor = new Compressor(options.compress ?? "never");
  }

  get #most(): number {
    return Math.min(this.#frame, this.#stream.chunkSize, this.#limiter?.chunk ?? Infinity);
  }

  /** Adds a file; what came before it may have to go first, and then the answer is when it has gone. */
  add(file: PackedFile): Promise<void> | undefined {
    const bytes = PACKED_OVERHEAD + file.path.length * 3 + file.content.length;
    const full = this.#files.length === MAX_FILES || (this.#files.length > 0 && this.#bytes + bytes > this.#most);
    const going = full ? this.flush() : undefined;
    this.#files.push(file);
    this.#bytes += bytes;
    return going;
  }

  async flush(): Promise<void> {
    if (this.#files.length === 0) return;
    const files = this.#files;
    const bytes = this.#bytes;
    this.#files = [];
    this.#bytes = 2;
    await this.#limiter?.take(bytes);
    await this.#stream.send("FILES", { files }, { compressor: this.#compressor });
  }
}

export const putsCommand = command({
  request: "PUTS",
  writes: true,
  async serve(stream, { algorithm, options }, context) {
    for (let begun = 0;;) {
      const { fields, fin } = await expect(stream, "FILES");
      const { files } = fields;
      checkCount(begun + files.length, context);
      const early = context.limiter?.take(files.reduce((sum, { content }) => sum + content.length, 0));
      const incoming = new Incoming(files, { algorithm, context, begun });
      await incoming.admit();
      await incoming.store({
        noReplace: (options & OPTION_NO_REPLACE) !== 0,
        parents: (options & OPTION_PARENTS) !== 0,
      });
      await stream.send("STORED", { outcomes: incoming.outcomes }, { fin });
      begun += files.length;
      releaseAll(files);
      if (fin) return;
      await early;
    }
  },
});

/** What came of one file that was asked for. */
export type Got =
  | { readonly path: string; readonly error: FshError }
  | { readonly path: string; readonly error: null; readonly file: PackedFile };

export interface SmallFilesOptions {
  readonly algorithm: DigestAlgorithm;
  readonly limiter?: Rate | undefined;
  readonly compress?: CompressMode | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gets many small files, MAX_FILES at the most, frame by frame, in the order of `paths`; `take` is awaited before the
 * next frame is taken. A file with a size but no content is larger than `limit`.
 */
export async function getSmall(
  session: RequestOpener,
  paths: readonly string[],
  options: SmallFilesOptions & { limit: number; take: (files: readonly Got[]) => Promise<void> },
): Promise<void> {
  const { algorithm, limit, limiter, take } = options;
  const request = { algorithm, limit, options: compressOption(options.compress), paths };
  await interruptible(session.open("GETS", request), options.signal, async (stream) => {
    for (let seen = 0;;) {
      const message = await stream.next();
      if (message.name === "DONE" && seen === paths.length) return;
      if (message.name !== "FILES" || message.fields.files.length > paths.length - seen) {
        throw new FshError("UNEXPECTED_FRAME", { subject: message.name });
      }
      const got = message.fields.files.map((file) => unpack(file, paths[seen++] as string, algorithm));
      await limiter?.take(message.fields.files.reduce((sum, { content }) => sum + content.length, 0));
      await take(got);
      releaseAll(message.fields.files);
    }
  });
}

/** Frees the memory that the files of one frame share, now rather than when the garbage collector finds it. */
function releaseAll(files: readonly PackedFile[]): void {
  const buffer = files[0]?.content.buffer;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

function unpack(file: PackedFile, path: string, algorithm: DigestAlgorithm): Got {
  const wrong = (error: FshError): Got => ({ path, error });
  if (file.path !== "") return wrong(new FshError("UNEXPECTED_FRAME", { subject: file.path }));
  if (file.code !== 0) {
    const detail = LENIENT.decode(file.content.subarray(0, MAX_DETAIL)) || undefined;
    return wrong(new FshError(errorName(file.code), { subject: path, detail, remote: true }));
  }
  const whole = file.content.length === file.size;
  if (whole && !hasDigest(file.content, algorithm, file.digest)) {
    return wrong(new FshError("DIGEST_MISMATCH", { subject: path }));
  }
  return { path, error: null, file };
}

/** A small file to be put: SMALL_FILE bytes at the most. */
export interface SmallSource {
  readonly path: string;
  readonly content: Uint8Array;
  readonly modified: number | null;
  readonly mode: number | null;
}

/** Puts many small files; answers, for each, null once the server has it in place, or why it has not. */
export async function putSmall(
  session: RequestOpener,
  files: readonly SmallSource[],
  options: SmallFilesOptions & { noReplace?: boolean; parents?: boolean },
): Promise<(FshError | null)[]> {
  const { algorithm, limiter, noReplace = false, parents = false } = options;
  const bits = (noReplace ? OPTION_NO_REPLACE : 0) | (parents ? OPTION_PARENTS : 0);
  return await interruptible(session.open("PUTS", { algorithm, options: bits }), options.signal, async (stream) => {
    const results: (FshError | null)[] = [];
    const packer = new Packer(stream, { limiter, compress: options.compress });
    const sending = (async () => {
      for (const { path, content, modified, mode } of files) {
        const digest = digestOf(content, algorithm);
        const full = packer.add({ path, code: 0, size: content.length, modified, mode, digest, content });
        if (full) await full;
      }
      await packer.flush();
      await stream.send("FILES", { files: [] }, { fin: true });
    })();
    sending.catch((error) => stream.cancel(toFshError(error)));
    for (;;) {
      const { fields, fin } = await expect(stream, "STORED");
      if (results.length + fields.outcomes.length > files.length) {
        throw new FshError("UNEXPECTED_FRAME", { subject: "STORED" });
      }
      for (const { code, detail } of fields.outcomes) {
        const subject = files[results.length]?.path;
        const failed = { subject, detail: detail || undefined, remote: true };
        results.push(code === 0 ? null : new FshError(errorName(code), failed));
      }
      if (fin) break;
    }
    await sending;
    if (results.length !== files.length) throw new FshError("UNEXPECTED_FRAME", { subject: "STORED" });
    return results;
  });
}
