import { frameBuffers } from "../base/buffer_pool.ts";
import { concatBytes } from "../base/bytes.ts";
import { createDigest } from "../base/digest.ts";
import { FshError, isError } from "../base/errors.ts";
import { oddName } from "../base/virtual_path.ts";
import type { Sum } from "../commands/body.ts";
import type { GetOptions } from "../commands/get.ts";
import type { Listed, ListOptions } from "../commands/list.ts";
import type { PutOptions, PutSource } from "../commands/put.ts";
import type { Info } from "../commands/stat.ts";
import { TcpTransport } from "../transport/tcp.ts";
import type { Transport } from "../transport/transport.ts";
import { CLASSIC, classicName, NAME_BYTES, readClassicName } from "../wire/classic.ts";
import type { Entry } from "../wire/field.ts";
import { ClassicLink } from "./classic_link.ts";
import { sendClassic } from "./classic_upload.ts";
import { type ClientOptions, DEFAULT_TIMEOUTS, type Remote } from "./client.ts";

/** Names that are read at once. */
const PAGE = 256;
/** A file that is no larger, in bytes, is sooner read to its end than hung up on, when only its size is wanted. */
const CHEAP = 64 * 1024;

export interface ClassicServer {
  readonly hostname: string;
  readonly port: number;
}

/**
 * A server that speaks the classic protocol, as the transfers of `get`, `put` and `ls` see it. Requests go over one
 * connection, one at a time; what the protocol has no words for is NOT_IN_CLASSIC.
 */
export class ClassicClient implements Remote {
  /** What was interrupted begins anew: there are no offsets. */
  readonly startsOver = true;
  readonly #open: () => Promise<ClassicLink>;
  readonly #zeroCopy: boolean;
  #link: ClassicLink | null = null;

  private constructor(open: () => Promise<ClassicLink>, zeroCopy: boolean) {
    this.#open = open;
    this.#zeroCopy = zeroCopy;
  }

  /** @throws {FshError} UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT */
  static async connect(
    { hostname, port }: ClassicServer,
    options: Pick<ClientOptions, "timeouts" | "signal" | "zeroCopy"> & {
      readonly transport?: Pick<Transport, "connect">;
    } = {},
  ): Promise<ClassicClient> {
    const { transport = new TcpTransport(), timeouts = {}, signal, zeroCopy = true } = options;
    const { connect: timeout = DEFAULT_TIMEOUTS.connect, stall = DEFAULT_TIMEOUTS.stall } = timeouts;
    const client = new ClassicClient(async () => {
      return new ClassicLink(await transport.connect({ hostname, port, timeout, signal }), { stall, signal });
    }, zeroCopy);
    client.#link = await client.#open();
    return client;
  }

  /** `address:port` of the server; empty while there is no connection. */
  get remote(): string {
    return this.#link?.remote ?? "";
  }

  /** Round trip of one PING, in milliseconds. @throws {FshError} BAD_CLASSIC, CONNECTION_LOST */
  ping(): Promise<number> {
    return this.#use(async (link) => {
      const begun = performance.now();
      const answer = await link.ping();
      if (answer === "pong") return performance.now() - begun;
      throw new FshError(answer === "closed" ? "CONNECTION_LOST" : "BAD_CLASSIC", { subject: link.remote });
    });
  }

  /** The names of the one folder; a size is not told with them and is NaN. */
  async *list(path: string, options: ListOptions = {}): AsyncGenerator<readonly Entry[], Listed> {
    if (options.recursive) throw noFolders("a listing of what is below");
    if (path !== "/") throw new FshError("NOT_DIRECTORY", { subject: path });
    const link = await this.#ready();
    let [count, skipped, finished] = [0, 0, false];
    try {
      await link.write(Uint8Array.of(CLASSIC.list));
      const most = await link.count();
      for (let left = most; left > 0;) {
        const fields = new Uint8Array(Math.min(left, PAGE) * NAME_BYTES);
        options.count?.(fields.length / NAME_BYTES);
        await link.fill(fields, "names");
        const entries = namesIn(fields, link.remote);
        left -= fields.length / NAME_BYTES;
        count += entries.length;
        skipped += fields.length / NAME_BYTES - entries.length;
        yield entries;
      }
      finished = true;
      return { count, skipped };
    } finally {
      if (!finished) this.#drop();
    }
  }

  /** Only a file's size can be found out: by asking for the file, and hanging up. */
  async stat(path: string): Promise<Info> {
    if (path === "/") return { type: "directory", size: 0, modified: null, mode: null, offset: 0 };
    const size = await this.#sizeOf(nameOf(path));
    if (size === 0) throw notFound(path);
    return infoOf(size);
  }

  async get(path: string, options: GetOptions): Promise<Sum & { info: Info }> {
    const name = nameOf(path);
    const size = await this.#use((link) => askSize(link, name));
    if (size === 0) throw notFound(path);
    const info = infoOf(size);
    return await this.#use(async (link) => {
      const sum = await receive(link, info, path, options);
      if (!await endsHere(link, path)) this.#drop();
      return { ...sum, info };
    });
  }

  async put(path: string, source: PutSource, options: PutOptions): Promise<Sum> {
    if (options.noReplace) throw noWay("--no-replace", "whatever has the name is replaced");
    const name = nameOf(path);
    const sum = await this.#use(async (link) => {
      const sum = await sendClassic(link, source, { ...options, path, name, zeroCopy: this.#zeroCopy });
      await confirmTaken(link, path);
      return sum;
    });
    await this.#confirmThere(path, name, sum.size);
    return sum;
  }

  /** A put has no answer: the size is looked up, and of an empty file, which looks like none, the name. */
  async #confirmThere(path: string, name: Uint8Array, size: number): Promise<void> {
    if (size === 0) {
      for await (const page of this.list("/")) if (page.some((entry) => `/${entry.name}` === path)) return this.#drop();
      throw new FshError("NOT_CONFIRMED", { subject: path, detail: "its list does not have the name" });
    }
    const there = size > CHEAP ? await this.#sizeOf(name) : await this.#use((link) => readSize(link, name));
    if (there > CHEAP) this.#drop();
    if (there === size) return;
    if (there === 0) throw new FshError("NOT_CONFIRMED", { subject: path, detail: "it has no such file" });
    throw new FshError("SIZE_MISMATCH", { subject: path, detail: `${size} bytes were put, ${there} are there` });
  }

  /** On a connection of its own, which is cut off before the file has come. */
  async #sizeOf(name: Uint8Array): Promise<number> {
    const link = await this.#open();
    try {
      return await askSize(link, name);
    } finally {
      link.abort();
    }
  }

  getSmall(): Promise<never> {
    return Promise.reject(noFolders("-r"));
  }
  putSmall(): Promise<never> {
    return Promise.reject(noFolders("-r"));
  }
  mkdir(): Promise<never> {
    return Promise.reject(noFolders("a folder"));
  }
  readLink(): Promise<never> {
    return Promise.reject(noWay("a symbolic link", "it knows files only"));
  }
  symlink(): Promise<never> {
    return Promise.reject(noWay("a symbolic link", "it knows files only"));
  }
  touch(): Promise<never> {
    return Promise.reject(noWay("times and permissions", "it knows sizes only"));
  }
  hash(): Promise<never> {
    return Promise.reject(noWay("a digest", "it knows sizes only"));
  }

  close(): void {
    this.#link?.close();
    this.#link = null;
  }

  #drop(): void {
    this.#link?.abort();
    this.#link = null;
  }

  async #ready(): Promise<ClassicLink> {
    return this.#link ??= await this.#open();
  }

  /** After a failure nobody knows where in the conversation the two sides are. */
  async #use<T>(work: (link: ClassicLink) => Promise<T>): Promise<T> {
    const link = await this.#ready();
    try {
      return await work(link);
    } catch (error) {
      this.#drop();
      throw error;
    }
  }
}

async function askSize(link: ClassicLink, name: Uint8Array): Promise<number> {
  await link.write(concatBytes([Uint8Array.of(CLASSIC.get), name]));
  return await link.size();
}

/** The size of a file, whose bytes are read to nowhere unless they are many. */
async function readSize(link: ClassicLink, name: Uint8Array): Promise<number> {
  const size = await askSize(link, name);
  if (size > 0 && size <= CHEAP) await link.fill(new Uint8Array(size), "a file");
  return size;
}

async function receive(link: ClassicLink, info: Info, path: string, options: GetOptions): Promise<Sum> {
  const { algorithm = "crc32", limiter, progress } = options;
  const digest = createDigest(algorithm);
  const sink = await options.open(info);
  const buffer = frameBuffers.take();
  const most = Math.min(buffer.length, limiter?.chunk ?? Infinity);
  try {
    for (let left = info.size; left > 0;) {
      const read = await link.read(buffer.subarray(0, Math.min(left, most)));
      if (read === null) {
        const detail = `${info.size - left} of ${info.size} announced bytes came`;
        throw new FshError("CONNECTION_LOST", { subject: path, detail });
      }
      left -= read;
      const chunk = buffer.subarray(0, read);
      digest.update(chunk);
      progress?.(read);
      const busy = sink(chunk);
      if (busy) await busy;
      const early = limiter?.take(read);
      if (early) await early;
    }
    return { size: info.size, algorithm, digest: digest.finish() };
  } finally {
    frameBuffers.give(buffer);
  }
}

/**
 * Whether the server goes on behind a file, by a PING: what comes before its answer is more than was announced. One that
 * hangs up after each file has sent what it announced.
 *
 * @throws {FshError} SIZE_MISMATCH
 */
async function endsHere(link: ClassicLink, path: string): Promise<boolean> {
  const answer = await link.ping().catch((error) => {
    if (isError(error, "CONNECTION_RESET", "CONNECTION_LOST")) return "closed";
    throw error;
  });
  if (answer !== "else") return answer === "pong";
  throw new FshError("SIZE_MISMATCH", { subject: path, detail: "the server sent more than it announced" });
}

/** That a PING behind it is answered shows that all of a put was read and the connection not closed over it. */
async function confirmTaken(link: ClassicLink, path: string): Promise<void> {
  const answer = await link.ping();
  if (answer === "pong") return;
  if (answer === "else") throw new FshError("BAD_CLASSIC", { subject: link.remote, detail: "no answer to a PING" });
  throw new FshError("NOT_CONFIRMED", {
    subject: path,
    detail: "it closed the connection, which is its only way to refuse",
  });
}

/** The names that have one; a field without its NUL is none of this protocol. @throws {FshError} BAD_CLASSIC */
function namesIn(fields: Uint8Array, remote: string): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < fields.length; at += NAME_BYTES) {
    const field = fields.subarray(at, at + NAME_BYTES);
    if (!field.includes(0)) throw new FshError("BAD_CLASSIC", { subject: remote, detail: "a name without an end" });
    try {
      const name = readClassicName(field);
      if (oddName(name) === null) entries.push({ name, type: "file", size: NaN, modified: null, mode: null });
    } catch {
      // Left out, and counted by what is missing.
    }
  }
  return entries;
}

/** The name of a path in the one folder that there is. @throws {FshError} NOT_IN_CLASSIC, NAME_TOO_LONG, PATH_REJECTED */
function nameOf(path: string): Uint8Array {
  const name = path.slice(1);
  if (name.includes("/")) throw noFolders(path);
  const odd = oddName(name);
  if (odd !== null && odd !== "over-long") throw new FshError("PATH_REJECTED", { subject: path, detail: odd });
  return classicName(name);
}

function infoOf(size: number): Info {
  return { type: "file", size, modified: null, mode: null, offset: 0 };
}

function notFound(path: string): FshError {
  return new FshError("NOT_FOUND", {
    subject: path,
    detail: "or empty, or not permitted: a classic server can't tell",
  });
}

function noFolders(subject: string): FshError {
  return noWay(subject, "it knows the files of one folder");
}

function noWay(subject: string, detail: string): FshError {
  return new FshError("NOT_IN_CLASSIC", { subject, detail });
}
