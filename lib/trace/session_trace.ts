import type { Role } from "../wire/frames.ts";
import { Flow, type FlowListener, type Held } from "./flow.ts";
import { otherOf, TcpStory } from "./tcp_story.ts";
import { encodeRecord, type TraceRecord } from "./trace_format.ts";
import type { TraceOutput } from "./trace_output.ts";

/** Where a session is written to; null: nowhere. */
export interface Outputs {
  readonly trace: TraceOutput | null;
  readonly pcap: TraceOutput | null;
}

export interface SessionTraceOptions extends Outputs {
  /** From 1. */
  readonly number: number;
  /** Which end this program is. */
  readonly role: Role;
  /** `address:port` of both ends. */
  readonly local: string;
  readonly remote: string;
  /** Bytes of file content that are kept of each frame. */
  readonly content: number;
  readonly held: Held;
  /** Microseconds since 1970-01-01T00:00Z. */
  readonly now: () => number;
}

/** Writes one session down. */
export class SessionTrace {
  /** Bytes that the system took, and gave. */
  #sent = 0;
  #received = 0;
  readonly #options: SessionTraceOptions;
  readonly #story: TcpStory | null;
  readonly #flows: Readonly<Record<Role, Flow>>;
  /** Bytes that go by and are none of FSH/1. */
  readonly #stray: Record<Role, number> = { client: 0, server: 0 };
  #first: Role | null = null;
  #over = false;

  constructor(options: SessionTraceOptions) {
    this.#options = options;
    const { role, local, remote, pcap, number, now } = options;
    const [client, server] = role === "client" ? [local, remote] : [remote, local];
    this.#story = pcap && new TcpStory((parts) => pcap.write(...parts), { client, server, number });
    this.#flows = {
      client: new Flow(this.#listener("client"), options),
      server: new Flow(this.#listener("server"), options),
    };
    this.#record({ kind: "opened", facts: { client, server, by: role } });
    this.#story?.open(now());
  }

  #listener(from: Role): FlowListener {
    return {
      bytes: (shown) => {
        if (this.#options.pcap?.isStopped === false) this.#story?.say(from, shown, this.#options.now());
      },
      frame: (frame) => this.#record({ kind: "frame", from, frame }),
      stray: (bytes) => this.#stray[from] += bytes,
    };
  }

  received(bytes: Uint8Array): void {
    this.#received += bytes.length;
    this.#flows[this.#peer].take(bytes);
  }

  /** These are about to be handed over, and count once they were: see `handedOver`. */
  sends(bytes: Uint8Array): void {
    this.#flows[this.#options.role].take(bytes);
  }

  /** Bytes of a file were handed over that nobody saw. */
  sentUnseen(bytes: number): void {
    this.#sent += bytes;
    this.#flows[this.#options.role].takeUnseen(bytes);
  }

  handedOver(bytes: number): void {
    this.#sent += bytes;
  }

  /** One end will say no more. */
  finished(by: "local" | "remote"): void {
    const role = by === "local" ? this.#options.role : this.#peer;
    if (this.#over) return;
    this.#first ??= role;
    this.#flows[role].end();
    this.#story?.close(role, this.#options.now());
  }

  /** The connection is gone. `by`: who broke it off, where it was not merely closed. */
  over(by?: "local" | "remote"): void {
    if (this.#over) return;
    const breaker = by && (by === "local" ? this.#options.role : this.#peer);
    if (!breaker) this.finished("local");
    this.#over = true;
    for (const from of ["client", "server"] as const) {
      this.#flows[from].end();
      if (this.#stray[from] > 0) this.#record({ kind: "stray", from, bytes: this.#stray[from] });
    }
    if (breaker) this.#story?.reset(breaker, this.#options.now());
    this.#record({
      kind: "closed",
      facts: {
        by: breaker ?? this.#first ?? this.#options.role,
        how: breaker ? "reset" : "closed",
        sent: this.#sent,
        received: this.#received,
      },
    });
  }

  get #peer(): Role {
    return otherOf(this.#options.role);
  }

  #record(record: DistributiveOmit<TraceRecord, "session" | "time">): void {
    const { trace, number, now } = this.#options;
    if (trace && !trace.isStopped) trace.write(...encodeRecord({ ...record, session: number, time: now() }));
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
