import { FshError } from "../base/errors.ts";
import { oddName } from "../base/virtual_path.ts";
import type { Sum } from "../commands/sum.ts";
import type { GetOptions } from "../commands/get.ts";
import type { Listed, ListOptions } from "../commands/list.ts";
import type { PutOptions, PutSource } from "../commands/put.ts";
import type { Info } from "../commands/stat.ts";
import { TcpTransport } from "../transport/tcp.ts";
import type { Transport } from "../transport/transport.ts";
import { CLASSIC, classicName, NAME_BYTES } from "../wire/classic.ts";
import type { Entry } from "../wire/field.ts";
import { askSize, CHEAP, confirmTaken, endsHere, namesIn, readSize, receive } from "./classic_answers.ts";
import { ClassicLink } from "./classic_link.ts";
import { sendClassic } from "./classic_upload.ts";
import { type ClientOptions, DEFAULT_TIMEOUTS, type Remote } from "./client.ts";

/** Names that are read at once. */
const PAGE = 256;

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
      const sum = await receive(link, { ...options, info, path });
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
