import { Log, type LogLevel, type LogRecord } from "../../lib/base/log.ts";
import { Client, type ClientOptions } from "../../lib/client/client.ts";
import { Server, type ServerOptions } from "../../lib/server/server.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { type MemoryOptions, MemoryTransport } from "../../lib/transport/memory.ts";
import type { Connection } from "../../lib/transport/transport.ts";
import { RawPeer } from "./raw_peer.ts";

export interface RunningOptions extends Partial<Omit<ServerOptions, "transport" | "storage" | "log">> {
  readonly storage?: Storage;
  readonly memory?: MemoryOptions;
  /** What is recorded; default: debug. */
  readonly level?: LogLevel;
}

/** A server over the memory transport that leaves its sessions alone. */
export const IN_MEMORY = {
  hostname: "memory",
  port: 0,
  limits: { window: 256 * 1024, maxStreams: 64, heartbeat: 0, misses: 3 },
  readOnly: false,
  maxSessions: 100,
  handshakeTimeout: 5000,
  idleTimeout: 0,
  stallTimeout: 0,
} as const;

/** A server over the memory transport, the clients that talk to it, and what it logged; all gone at the end of a test. */
export class RunningServer implements AsyncDisposable {
  readonly records: LogRecord[] = [];
  readonly #clients: Client[] = [];
  readonly #peers: RawPeer[] = [];

  private constructor(
    readonly transport: MemoryTransport,
    readonly storage: Storage,
    readonly server: Server,
    records: LogRecord[],
  ) {
    this.records = records;
  }

  static async start(options: RunningOptions = {}): Promise<RunningServer> {
    const { storage = new MemoryStorage(), memory, level = "debug", ...rest } = options;
    const transport = new MemoryTransport(memory);
    const records: LogRecord[] = [];
    const server = await Server.start({
      transport,
      storage,
      ...IN_MEMORY,
      log: new Log(level, (record) => records.push(record)),
      ...rest,
    });
    return new RunningServer(transport, storage, server, records);
  }

  async client(options: Omit<ClientOptions, "transport"> = {}): Promise<Client> {
    const client = await Client.connect({ hostname: "memory", port: this.server.port }, {
      limits: { heartbeat: 0 },
      ...options,
      transport: this.transport,
    });
    this.#clients.push(client);
    return client;
  }

  connection(): Promise<Connection> {
    return this.transport.connect({ hostname: "memory", port: this.server.port, timeout: 1000 });
  }

  /** A peer that speaks frame by frame; `shaken` to skip the handshake's frames, done by it. */
  async peer(options: { shaken?: boolean } = {}): Promise<RawPeer> {
    const peer = new RawPeer(await this.connection());
    this.#peers.push(peer);
    if (options.shaken ?? true) await peer.shakeHands();
    return peer;
  }

  /** The errors of sessions that ended and of commands that failed, as the log has them. */
  logged(message: "session ended" | "failed"): string[] {
    return this.records.filter((record) => record.message === message).map((record) => String(record.fields.error));
  }

  /** Resolves when no session is left. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 2000 && this.server.sessionCount > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (this.server.sessionCount > 0) throw new Error(`${this.server.sessionCount} sessions stay`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.server.close({ limit: 1 });
  }
}
