import type { Role } from "../wire/frames.ts";
import type { Connection, Listener, Transport } from "../transport/transport.ts";
import { PCAP_HEAD } from "./pcap.ts";
import { SessionTrace } from "./session_trace.ts";
import { tap } from "./tap.ts";
import { TRACE_MAGIC } from "./trace_format.ts";
import { TraceOutput } from "./trace_output.ts";

/** Bytes that messages which are on their way may take, of all sessions together. */
const MOST_HELD = 32 * 1024 * 1024;

export interface TracerOptions {
  /** Files to write; at least one of them. */
  readonly trace?: string | undefined;
  readonly pcap?: string | undefined;
  /** Bytes that each of the files may have. */
  readonly limit: number;
  /** Bytes of file content that are kept of each frame. */
  readonly content: number;
  /** Hears why one of them ends before the program does. */
  readonly warn: (message: string) => void;
}

/** Writes down what goes over connections, for `fsh trace` and for Wireshark. It never stands in the way of the sessions. */
export class Tracer {
  readonly #options: TracerOptions;
  readonly #trace: TraceOutput | null;
  readonly #pcap: TraceOutput | null;
  #sessions = 0;
  readonly #held = { left: MOST_HELD };

  private constructor(options: TracerOptions, outputs: { trace: TraceOutput | null; pcap: TraceOutput | null }) {
    this.#options = options;
    this.#trace = outputs.trace;
    this.#pcap = outputs.pcap;
    this.#trace?.write(TRACE_MAGIC);
    this.#pcap?.write(PCAP_HEAD);
  }

  /** @throws {FshError} TRACE_FAILED */
  static async open(options: TracerOptions): Promise<Tracer> {
    const { limit, warn } = options;
    const open = async (path: string | undefined, kind: string, magic: Uint8Array) => {
      if (path === undefined) return null;
      return await TraceOutput.open(path, { magic, limit, stopped: (why) => warn(`${kind} ends here: ${why}`) });
    };
    const trace = await open(options.trace, "trace", TRACE_MAGIC);
    try {
      return new Tracer(options, { trace, pcap: await open(options.pcap, "capture", PCAP_HEAD) });
    } catch (error) {
      await trace?.close();
      throw error;
    }
  }

  /** The transport, all of whose connections are written down. */
  over<T extends Pick<Transport, "connect"> & Partial<Transport>>(transport: T): T {
    const connect: Transport["connect"] = async (options) => this.#tap(await transport.connect(options), "client");
    const listen: Transport["listen"] = async (options) => {
      if (!transport.listen) throw new TypeError("this transport does not listen");
      return this.#overListener(await transport.listen(options));
    };
    return new Proxy(transport, {
      get(target, name) {
        if (name === "connect") return connect;
        if (name === "listen") return listen;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #overListener(listener: Listener): Listener {
    return {
      hostname: listener.hostname,
      port: listener.port,
      accept: async () => this.#tap(await listener.accept(), "server"),
      close: () => listener.close(),
    };
  }

  #tap(connection: Connection, role: Role): Connection {
    if (this.#isStopped) return connection;
    const { local, remote } = connection;
    const { content } = this.#options;
    const trace = new SessionTrace({
      number: ++this.#sessions,
      role,
      local,
      remote,
      content,
      held: this.#held,
      trace: this.#trace,
      pcap: this.#pcap,
      now,
    });
    return tap(connection, {
      trace,
      seesContent: content > 0,
      guard: (work) => this.#guard(work),
      room: () => this.#trace?.room() ?? this.#pcap?.room(),
    });
  }

  get #isStopped(): boolean {
    return (this.#trace?.isStopped ?? true) && (this.#pcap?.isStopped ?? true);
  }

  #guard(work: () => void): void {
    if (this.#isStopped) return;
    try {
      work();
    } catch (error) {
      for (const output of [this.#trace, this.#pcap]) output?.stop(`internal error: ${String(error)}`);
    }
  }

  /** Ends both files; what was seen is in them. */
  async close(): Promise<void> {
    await Promise.all([this.#trace?.close(), this.#pcap?.close()]);
  }
}

function now(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
