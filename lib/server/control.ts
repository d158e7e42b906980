/**
 * What a running server can be asked and told over its control socket, whoever carries it out: one event loop, or several
 * that are asked together. All facts are plain data, fit for JSON and for messages between threads.
 */

/** The server as a whole. */
export interface ServerFact {
  readonly pid: number;
  readonly version: string;
  readonly url: string;
  /** The served folder. */
  readonly folder: string;
  /** When it started, in milliseconds since 1970-01-01T00:00Z. */
  readonly since: number;
}

/** A request that a session's client has made and that was not answered yet. */
export interface StreamFact {
  readonly id: number;
  /** Name of the request, as in FRAMES. */
  readonly command: string;
  /** What it is about, as the client names it; the first of several; empty: nothing in particular. */
  readonly path: string;
  /** Further paths that it names. */
  readonly more: number;
  /** Bytes of content that moved either way so far, unpacked; they count frame by frame. */
  readonly bytes: number;
  /** Milliseconds since it began. */
  readonly age: number;
}

/** A client that was let in. */
export interface SessionFact {
  /** Names the session among all of the server's, and in its log. */
  readonly id: string;
  /** Empty: nobody in particular. */
  readonly user: string;
  /** How that was proved. */
  readonly method: string;
  readonly protocol: "tcp" | "quic";
  /** `address:port` of this side. */
  readonly local: string;
  /** `address:port` of the client. */
  readonly remote: string;
  /** Whether nobody on the way can read along. */
  readonly secure: boolean;
  /** What the client says that it is. */
  readonly agent: string;
  /** When it was let in, in milliseconds since 1970-01-01T00:00Z. */
  readonly since: number;
  /** Milliseconds since its last request was answered; 0: one is being answered. */
  readonly idle: number;
  /** Bytes that came in and went out, framing included. */
  readonly received: number;
  readonly sent: number;
  /** Bytes per second just now, both ways together. */
  readonly rate: number;
  /** Requests that were not answered yet. */
  readonly requests: number;
  /** The first of them. */
  readonly streams: readonly StreamFact[];
}

/** A socket of the server's, as the system sees it; or a connection by QUIC, which the system knows nothing of. */
export interface SocketState {
  readonly protocol: "tcp" | "udp" | "quic";
  /** States of RFC 9293, section 3.3.2, in the words of ss(8); null where the system does not tell. */
  readonly state: string | null;
  readonly local: string;
  /** Null where it listens. */
  readonly remote: string | null;
  /** Bytes that came in and were not read yet; connections that wait to be accepted, where it listens. */
  readonly receiveQueue: number | null;
  /** Bytes that the peer has not acknowledged. */
  readonly sendQueue: number | null;
  /** The kernel's timer that runs for it; null: none does, or the system does not tell. */
  readonly timer: TimerFact | null;
}

/** A socket, and whose it is. */
export interface SocketFact extends SocketState {
  /** Of the session that it carries; null: none, or nobody was let in yet. */
  readonly session: string | null;
  readonly user: string | null;
  /** What the session is busy with: names of requests. */
  readonly commands: readonly string[];
}

export interface TimerFact {
  readonly name: "retransmit" | "keepalive" | "time-wait" | "window-probe" | "other";
  /** Until it goes off. */
  readonly seconds: number;
  /** How often it went off in vain. */
  readonly count: number;
}

/** What came of loading one thing anew. */
export interface ReloadFact {
  /** What it is: a plugin's name, `certificate`, `client certificates`. */
  readonly what: string;
  /** Null: the new state holds; otherwise why the old one still does. */
  readonly error: string | null;
}

/** What is still under way. */
export interface LoadFact {
  readonly sessions: number;
  /** Requests that were not answered yet. */
  readonly requests: number;
}

/** The sessions of one event loop. */
export interface SessionControl {
  sessions(): Promise<readonly SessionFact[]>;
  /**
   * Ends a session at once: its client is told KICKED and `reason`. Answers what it was.
   *
   * @throws {FshError} NOT_FOUND: there is no such session
   */
  kick(id: string, reason: string): Promise<SessionFact>;
  load(): Promise<LoadFact>;
}

/** All that the control socket offers. */
export interface ControlSource extends SessionControl {
  readonly about: ServerFact;
  sockets(): Promise<readonly SocketFact[]>;
  /** Does what SIGHUP does. */
  reload(): Promise<readonly ReloadFact[]>;
  /**
   * Does what SIGTERM does; may be asked for again. `limit`: milliseconds that running transfers are given; 0: no limit.
   * `ended` resolves once no session is left.
   */
  drain(): { readonly limit: number; readonly ended: Promise<void> };
}
