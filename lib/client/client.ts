import { type Log, silentLog } from "../base/log.ts";
import { FshError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { get, type GetOptions } from "../commands/get.ts";
import type { Sum } from "../commands/sum.ts";
import { hash } from "../commands/hash.ts";
import { list, type Listed, type ListOptions } from "../commands/list.ts";
import { readLink, symlink } from "../commands/link.ts";
import { touch } from "../commands/touch.ts";
import type { FileAttributes } from "../storage/storage.ts";
import { mkdir } from "../commands/mkdir.ts";
import { move } from "../commands/move.ts";
import { put, type PutOptions, type PutSource } from "../commands/put.ts";
import { remove } from "../commands/remove.ts";
import { getSmall, putSmall, type SmallSource } from "../commands/small_files.ts";
import { type Info, stat } from "../commands/stat.ts";
import type { Credentials, SessionLimits } from "../session/handshake.ts";
import { Session } from "../session/session.ts";
import type { SessionEnd } from "../session/session_end.ts";
import { TcpTransport } from "../transport/tcp.ts";
import type { Transport } from "../transport/transport.ts";
import { ZSTD } from "../wire/compression.ts";
import type { Entry } from "../wire/field.ts";
import type { DigestAlgorithm } from "../base/digest.ts";

/** Bytes of a stream that may be under way to this side: four DATA frames. */
export const DEFAULT_WINDOW = 4 * 1024 * 1024;

export const DEFAULT_LIMITS: SessionLimits = { window: DEFAULT_WINDOW, maxStreams: 512, heartbeat: 30_000, misses: 3 };

/** Milliseconds; 0 switches a deadline off. */
export const DEFAULT_TIMEOUTS = {
  connect: 5_000,
  handshake: 10_000,
  idle: 600_000,
  stall: 300_000,
} as const;

export interface ClientOptions {
  /** How to connect; by default as it is, over TCP. */
  readonly transport?: Pick<Transport, "connect">;
  /** Whom to come as, where there are no credentials. */
  readonly user?: string;
  /** Whom to come as, and what to show. The same object for several clients spares them the slow part of a password. */
  readonly credentials?: Credentials;
  readonly log?: Log;
  readonly limits?: Partial<SessionLimits>;
  /** Milliseconds. */
  readonly timeouts?: { readonly connect?: number; readonly handshake?: number; readonly stall?: number };
  readonly signal?: AbortSignal;
  /** Whether files may be sent without passing through this program, where the platform can. */
  readonly zeroCopy?: boolean;
}

/** What transfers need of a client; several sessions together have it, too. */
export type Remote =
  & Pick<
    Client,
    | "list"
    | "stat"
    | "get"
    | "getSmall"
    | "put"
    | "putSmall"
    | "mkdir"
    | "readLink"
    | "symlink"
    | "touch"
    | "hash"
  >
  & {
    /** What was interrupted can't be gone on with. */
    readonly startsOver?: true;
  };

/** A session with a server, from the user's side. */
export class Client {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /** @throws {FshError} UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, BAD_PREFACE, AUTH_FAILED */
  static async connect(server: { hostname: string; port: number }, options: ClientOptions = {}): Promise<Client> {
    const { transport = new TcpTransport(), log = silentLog, limits = {}, timeouts = {}, signal } = options;
    const { hostname, port } = server;
    const connection = await transport.connect({
      hostname,
      port,
      timeout: timeouts.connect ?? DEFAULT_TIMEOUTS.connect,
      signal,
    });
    const session = new Session(connection, {
      role: "client",
      log,
      limits: { ...DEFAULT_LIMITS, ...limits },
      handshakeTimeout: timeouts.handshake ?? DEFAULT_TIMEOUTS.handshake,
      idleTimeout: 0,
      stallTimeout: timeouts.stall ?? DEFAULT_TIMEOUTS.stall,
      agent: `fsh/${VERSION}`,
      capabilities: [ZSTD],
      ...(options.zeroCopy === undefined ? {} : { zeroCopy: options.zeroCopy }),
      credentials: options.credentials ?? { user: options.user ?? "" },
    });
    const interrupt = () => session.abort(new FshError("INTERRUPTED"));
    signal?.addEventListener("abort", interrupt);
    try {
      if (signal?.aborted) interrupt();
      await session.start();
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
    return new Client(session);
  }

  get session(): Session {
    return this.#session;
  }

  get ended(): Promise<SessionEnd> {
    return this.#session.ended;
  }

  list(path: string, options: ListOptions = {}): AsyncGenerator<readonly Entry[], Listed> {
    return list(this.#session, path, options);
  }

  stat(path: string): Promise<Info> {
    return stat(this.#session, path);
  }

  get(path: string, options: GetOptions): Promise<Sum & { info: Info }> {
    return get(this.#session, path, options);
  }

  put(path: string, source: PutSource, options: PutOptions): Promise<Sum> {
    return put(this.#session, path, source, options);
  }

  /** Gets many small files at once: see `getSmall` of commands/small_files.ts. */
  getSmall(paths: readonly string[], options: Parameters<typeof getSmall>[2]): Promise<void> {
    return getSmall(this.#session, paths, options);
  }

  /** Puts many small files at once; answers, for each, null or why it is not in place. */
  putSmall(
    files: readonly SmallSource[],
    options: Parameters<typeof putSmall>[2],
  ): Promise<(FshError | null)[]> {
    return putSmall(this.#session, files, options);
  }

  mkdir(path: string, options: { parents?: boolean } = {}): Promise<void> {
    return mkdir(this.#session, path, options);
  }

  readLink(path: string): Promise<string> {
    return readLink(this.#session, path);
  }

  symlink(path: string, target: string): Promise<void> {
    return symlink(this.#session, path, target);
  }

  /** Sets time and permission bits of what is there. */
  touch(path: string, attributes: FileAttributes): Promise<void> {
    return touch(this.#session, path, attributes);
  }

  remove(path: string, options: { recursive?: boolean } = {}): Promise<number> {
    return remove(this.#session, path, options);
  }

  move(from: string, to: string, options: { noReplace?: boolean } = {}): Promise<void> {
    return move(this.#session, from, to, options);
  }

  hash(
    path: string,
    options: { offset?: number; length?: number | null; algorithm?: DigestAlgorithm } = {},
  ): Promise<Sum> {
    return hash(this.#session, path, options);
  }

  /** Round trip of one PING, in milliseconds. */
  ping(): Promise<number> {
    return this.#session.ping();
  }

  /** Says goodbye and waits until the server has, too. */
  close(): Promise<SessionEnd> {
    return this.#session.close({ limit: 1 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
