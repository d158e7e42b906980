import type { FileRegion } from "../base/file_region.ts";
import type { GrantedOptions } from "../native/socket_tuning.ts";
import type { TcpInfo } from "../native/tcp_info.ts";

/**
 * A reliable byte stream between two peers. Reads and writes are partial: either may move fewer bytes than asked.
 * Failures are FshErrors: CONNECTION_RESET (abrupt end), LINK_TIMEOUT (the kernel gave up on the peer),
 * CONNECTION_LOST (closed on this side).
 */
export interface Connection {
  /** `address:port` of this side. */
  readonly local: string;
  /** `address:port` of the peer. */
  readonly remote: string;
  /** Where it has no socket of its own; undefined: TCP, on one of its own. */
  readonly protocol?: "quic" | undefined;
  /** Whether nobody on the way can read along; undefined: as the addresses tell (see session/secure.ts). */
  readonly secure?: boolean | undefined;
  /**
   * Client over TLS: what it knows the server by, `SHA256:…` (the fingerprint of a certificate that it has been told of)
   * or `dns:HOST` (a name that an authority vouches for).
   */
  readonly peerName?: string | undefined;
  /** Server over TLS: whether a client that knows its server by this name means this one. */
  readonly answersTo?: (name: string) => boolean;
  /** Waits for bytes and puts some into `buffer`; null once the peer has closed its side. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Takes some of `bytes`, at least one, waiting for room. `bytes` must stay as they are until it resolves. */
  write(bytes: Uint8Array): Promise<number>;
  /**
   * As `write`, for bytes of an open file, which never pass through this program: answers how many the system took; 0: the
   * file has none there. Undefined where the transport can't.
   */
  readonly writeFile?: ((region: FileRegion, at: number) => Promise<number>) | undefined;
  /** Whether the peer has closed its side or the connection broke, which reading would tell only behind all that waits. */
  isGone?(): boolean;
  /** What the system tells of the connection; null where it can't be asked. */
  inspect?(): SocketReport | null;
  /** While on, the system keeps incomplete packets back, so that what is written piece by piece goes out as one. */
  cork?(on: boolean): void;
  /** Says that no more will be written (FIN); reading goes on. */
  closeWrite(): Promise<void>;
  /** Closes both ways; unread data may turn it into a reset, as TCP does. May be called again. */
  close(): void;
  /** Closes abruptly: the peer sees a reset where the platform can send one. May be called again. */
  abort(): void;
}

/** What the system tells of one connection. */
export interface SocketReport {
  readonly granted: GrantedOptions;
  readonly info: TcpInfo;
}

export interface Listener {
  readonly hostname: string;
  readonly port: number;
  /**
   * The next connection. Rejects with CONNECTION_RESET where its peer left before it was accepted and the next may be
   * there, TOO_MANY_FILES where descriptors ran out, CONNECTION_LOST once closed.
   */
  accept(): Promise<Connection>;
  /** What the system has of the options of the listening socket; null where it can't be asked. */
  inspect?(): GrantedOptions | null;
  /** Takes no more connections; those accepted stay. May be called again. */
  close(): void;
}

export interface ConnectOptions {
  readonly hostname: string;
  readonly port: number;
  /** Milliseconds for all addresses together; 0: for ever. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  /** Whether other listeners of this user may have the same port (SO_REUSEPORT): Linux spreads connections over them. */
  readonly reusePort?: boolean;
}

export interface Transport {
  readonly scheme: string;
  connect(options: ConnectOptions): Promise<Connection>;
  listen(options: ListenOptions): Promise<Listener>;
}

/** Writes all of `bytes`: the one place that loops over partial writes. `moved` hears of each. */
export async function writeAll(
  connection: Connection,
  bytes: Uint8Array,
  moved?: (bytes: number) => void,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const written = await connection.write(at === 0 ? bytes : bytes.subarray(at));
    at += written;
    moved?.(written);
  }
}

/**
 * As `writeAll`, with a piece of a file behind the bytes. Where the file has become shorter, zeros take the place of what
 * is missing.
 */
export async function writeWithRegion(
  connection: Connection,
  bytes: Uint8Array,
  region: FileRegion,
  moved?: (bytes: number) => void,
): Promise<void> {
  connection.cork?.(true);
  try {
    await writeAll(connection, bytes, moved);
    await writeRegion(connection, region, moved);
  } finally {
    connection.cork?.(false);
  }
}

async function writeRegion(
  connection: Connection,
  region: FileRegion,
  moved?: (bytes: number) => void,
): Promise<void> {
  for (let at = 0; at < region.length;) {
    const written = await connection.writeFile?.(region, at) ?? 0;
    if (written === 0) return await writeAll(connection, new Uint8Array(region.length - at), moved);
    at += written;
    moved?.(written);
  }
}

/** `address:port`, with brackets around an IPv6 address. */
export function formatAddress(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
