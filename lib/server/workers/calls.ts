import type { LogLevel, LogRecord } from "../../base/log.ts";
import type { Reply } from "../../hooks/host.ts";
import type { Generation, RemoteCall } from "../../hooks/remote_host.ts";
import type { LocalOptions } from "../../storage/local.ts";
import type { Identity } from "../../transport/tls.ts";
import type { LoadFact, SessionFact } from "../control.ts";
import type { SocketTuning } from "../../transport/tuning.ts";
import type { Metric } from "../metrics.ts";
import type { ServerOptions } from "../server.ts";

/** Where a worker listens. */
export interface Place {
  readonly hostname: string;
  readonly port: number;
  /** With it, TLS is spoken. */
  readonly identity: Identity | undefined;
  readonly tuning: SocketTuning;
}

/** Settings of a server that can be told to another thread. */
export type PlainSettings = Pick<
  ServerOptions,
  | "limits"
  | "bounds"
  | "readOnly"
  | "zeroCopy"
  | "maxSessions"
  | "handshakeTimeout"
  | "idleTimeout"
  | "stallTimeout"
>;

/** All that a worker needs to serve. */
export interface WorkerStart {
  readonly settings: PlainSettings;
  readonly folder: string;
  readonly storage: LocalOptions;
  /** Bytes for its sessions. */
  readonly memory: number;
  /** Bytes per second of all workers together are held to a rate, a chunk of so many bytes at a time; null: they are not. */
  readonly chunk: number | null;
  readonly logLevel: LogLevel;
  /** Certificates of clients, in PEM; null: none are asked for. */
  readonly clientTrust: string | null;
}

/** What the main thread answers to, for one worker. */
export interface MainCalls {
  /** A client has come; answers its number. @throws {FshError} as `Admissions.enter` answers */
  enter(remote: string): number;
  /** Answers the session's name. @throws {FshError} as `Visitor.admit` */
  admit(who: { readonly client: number; readonly user: string | null }): string;
  leave(client: number): void;
  /** As `Rate.take`. */
  take(bytes: number): Promise<void> | undefined;
  /** Stops a put that another worker runs. */
  stopPut(id: string): Promise<void>;
  callHook(call: RemoteCall): Promise<Reply>;
  retired(generation: number): void;
  log(record: LogRecord): void;
  /** Of a plugin that has failed. */
  pluginLog(record: LogRecord): void;
}

/** What a worker answers to. */
export interface WorkerCalls {
  /** @throws {FshError} as `Transport.listen` */
  listen(place: Place): Promise<{ readonly hostname: string; readonly port: number }>;
  /** @throws {FshError} as `LocalStorage.open` */
  serve(start: WorkerStart): Promise<void>;
  hooks(generation: Generation): void;
  /** @throws {FshError} as `TlsTransport.exchange` */
  identity(identity: Identity): Promise<void>;
  clientTrust(pem: string): Promise<void>;
  stopPut(id: string): Promise<void>;
  metrics(nothing: null): { readonly all: readonly Metric[]; readonly summary: Readonly<Record<string, number>> };
  sessions(nothing: null): Promise<readonly SessionFact[]>;
  /** Null: it has no such session. */
  kick(who: { readonly id: string; readonly reason: string }): Promise<SessionFact | null>;
  load(nothing: null): Promise<LoadFact>;
  /** As `Server.close`. */
  close(limit: number): Promise<void>;
}
