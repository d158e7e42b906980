import { FshError } from "../base/errors.ts";
import { encodeMessage, type MessageOf } from "../wire/codec.ts";
import { type FrameFields, MAX_DATA, type Role } from "../wire/frames.ts";

/** The version in HELLO; the preface names the same. */
export const PROTOCOL_VERSION = 1;

/** Smallest window that a peer may state, in bytes: half of it must hold the largest ENTRIES frame. */
const MIN_WINDOW = 256 * 1024;
/** Largest window that is made use of, in bytes. */
const MAX_WINDOW = 1024 ** 3;
/** Smallest DATA frame that a peer may ask for, in bytes: less would only cost. */
const MIN_DATA = 16 * 1024;
/** Shortest heartbeat that a peer may ask for, in milliseconds. */
const MIN_HEARTBEAT = 100;

/** What this side brings into the agreement. */
export interface SessionLimits {
  /** Bytes that each stream of the peer may send before it is granted more. */
  readonly window: number;
  /** Streams at once. */
  readonly maxStreams: number;
  /** Milliseconds of silence before a PING; 0: none. */
  readonly heartbeat: number;
  /** Unanswered PINGs before the peer counts as dead. */
  readonly misses: number;
}

/** What the peers agreed on: the smaller of both. */
export interface Terms {
  readonly maxData: number;
  /** Bytes that this side may send on a stream before the peer grants more. */
  readonly sendWindow: number;
  readonly maxStreams: number;
  readonly heartbeat: number;
  readonly misses: number;
  /** What the peer can do. */
  readonly capabilities: readonly string[];
  readonly agent: string;
}

/** Server: decides over credentials. */
export type Authenticate = (
  offer: { method: string; user: string; data: Uint8Array },
) => Promise<{ readonly session: string; readonly user: string } | { readonly challenge: Uint8Array }>;

export interface HandshakeOptions {
  readonly limits: SessionLimits;
  readonly agent: string;
  readonly capabilities?: readonly string[];
  /** Server: what is offered, and who decides. */
  readonly methods?: readonly string[];
  readonly authenticate?: Authenticate;
  /** Client: the user's name; empty for nobody in particular. */
  readonly user?: string;
}

export interface HandshakeStep {
  /** Encoded frames to send, in order. */
  readonly send: readonly Uint8Array[];
  readonly terms?: Terms;
  readonly ready?: boolean;
}

/** HELLO both ways, then AUTH and READY: who may speak, and on what terms. */
export class Handshake {
  readonly #role: Role;
  readonly #options: HandshakeOptions;
  #judging = false;
  identity = { session: "", user: "" };

  constructor(role: Role, options: HandshakeOptions) {
    this.#role = role;
    this.#options = options;
  }

  hello(): Uint8Array {
    const { limits, agent, capabilities = [], methods = [] } = this.#options;
    return encodeMessage("HELLO", 0, {
      version: PROTOCOL_VERSION,
      agent,
      capabilities,
      methods,
      maxData: MAX_DATA,
      window: limits.window,
      maxStreams: limits.maxStreams,
      heartbeat: limits.heartbeat,
      misses: limits.misses,
    });
  }

  /** Answers at once where nobody has to be asked. @throws {FshError} BAD_VERSION, BAD_FIELD, AUTH_FAILED */
  receive(message: MessageOf<"HELLO" | "AUTH" | "CHALLENGE" | "READY">): HandshakeStep | Promise<HandshakeStep> {
    switch (message.name) {
      case "HELLO": {
        const terms = agree(this.#options.limits, (message as MessageOf<"HELLO">).fields);
        if (this.#role === "server") return { send: [this.hello()], terms };
        return { send: [this.#auth((message as MessageOf<"HELLO">).fields.methods)], terms };
      }
      case "AUTH":
        if (this.#judging) throw new FshError("UNEXPECTED_FRAME", { subject: "AUTH", detail: "one at a time" });
        return this.#judge((message as MessageOf<"AUTH">).fields);
      case "CHALLENGE":
        throw new FshError("UNSUPPORTED", { detail: "a challenge that was not asked for" });
      default:
        this.identity = (message as MessageOf<"READY">).fields;
        return { send: [], ready: true };
    }
  }

  #auth(methods: readonly string[]): Uint8Array {
    if (!methods.includes("anonymous")) {
      throw new FshError("AUTH_FAILED", { detail: `the server asks for ${methods.join(" or ") || "nothing known"}` });
    }
    return encodeMessage("AUTH", 0, { method: "anonymous", user: this.#options.user ?? "", data: new Uint8Array() });
  }

  async #judge(fields: FrameFields<"AUTH">): Promise<HandshakeStep> {
    const { methods = [], authenticate } = this.#options;
    if (!authenticate || !methods.includes(fields.method)) {
      throw new FshError("AUTH_FAILED", { detail: `method ${fields.method} is not offered` });
    }
    this.#judging = true;
    const verdict = await authenticate(fields);
    this.#judging = false;
    if ("challenge" in verdict) return { send: [encodeMessage("CHALLENGE", 0, { data: verdict.challenge })] };
    this.identity = verdict;
    return { send: [encodeMessage("READY", 0, verdict)], ready: true };
  }
}

/** Takes the smaller of both offers; refuses what makes no sense. */
function agree(own: SessionLimits, peer: FrameFields<"HELLO">): Terms {
  if (peer.version !== PROTOCOL_VERSION) throw new FshError("BAD_VERSION", { detail: `version ${peer.version}` });
  const atLeast = (name: string, value: number, least: number) => {
    if (value < least) {
      throw new FshError("BAD_FIELD", { subject: "HELLO", detail: `${name} ${value} is under ${least}` });
    }
  };
  atLeast("maxData", peer.maxData, MIN_DATA);
  atLeast("window", peer.window, MIN_WINDOW);
  atLeast("maxStreams", peer.maxStreams, 1);
  const intervals = [own.heartbeat, peer.heartbeat].filter((ms) => ms > 0);
  return {
    maxData: Math.min(MAX_DATA, peer.maxData),
    sendWindow: Math.min(MAX_WINDOW, peer.window),
    maxStreams: Math.min(own.maxStreams, peer.maxStreams),
    heartbeat: intervals.length === 0 ? 0 : Math.max(MIN_HEARTBEAT, Math.min(...intervals)),
    misses: Math.max(1, Math.min(own.misses, peer.misses)),
    capabilities: peer.capabilities,
    agent: peer.agent,
  };
}
