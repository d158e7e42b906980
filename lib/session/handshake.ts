import { FshError } from "../base/errors.ts";
import { encodeMessage, type MessageOf } from "../wire/codec.ts";
import type { User } from "../hooks/event.ts";
import { type FrameFields, MAX_DATA, type Role } from "../wire/frames.ts";
import type { CertificateFacts, ClientTrust } from "../base/client_trust.ts";
import { CERTIFICATE, CertificateDoor, CertificateVisitor } from "./certificate_door.ts";
import { Applicant, type Credentials } from "./credentials.ts";
import { type Answer, type Claim, Doorkeeper, type DoorkeeperOptions } from "./doorkeeper.ts";
import { hashHellos } from "./key_proof.ts";

export type { Credentials } from "./credentials.ts";
export type { Authenticate, Claim, Offer } from "./doorkeeper.ts";
export type { Method } from "./methods.ts";

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
  /** Bytes of a DATA frame to this side, at the most; by default MAX_DATA. */
  readonly maxData?: number;
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

export interface HandshakeOptions extends Omit<DoorkeeperOptions, "certificate"> {
  readonly limits: SessionLimits;
  readonly agent: string;
  readonly capabilities?: readonly string[];
  /** Server: what is offered, in HELLO. */
  readonly methods?: readonly string[];
  /** Server: somebody was let in; names the session. */
  readonly admit?: (user: User, method: string) => string | Promise<string>;
  /** Server: whose certificates are taken; with it every client needs one. */
  readonly clientTrust?: ClientTrust | undefined;
  /** Server: a client has proved to own a certificate. */
  readonly certified?: (facts: CertificateFacts) => void;
  /** Whether nobody on the way can read along. */
  readonly secure?: boolean;
  /** Client: see `Connection.peerName`. */
  readonly peerName?: string | undefined;
  /** Server: see `Connection.answersTo`. */
  readonly answersTo?: ((name: string) => boolean) | undefined;
  /** Client: whom it comes as, and what it can show; by default as nobody in particular. */
  readonly credentials?: Credentials;
}

export interface HandshakeStep {
  /** Encoded frames to send, in order. */
  readonly send: readonly Uint8Array[];
  readonly terms?: Terms;
  readonly ready?: boolean;
}

/** Name of a session, and who it is for. A client knows no more of its user than the name. */
export interface Identity {
  readonly session: string;
  readonly user: User;
}

/** HELLO both ways, then AUTH and READY: who may speak, and on what terms. */
export class Handshake {
  readonly #role: Role;
  readonly #options: HandshakeOptions;
  #hello: Uint8Array;
  #peerHello: FrameFields<"HELLO"> | null = null;
  #doorkeeper: Doorkeeper | null = null;
  #claim: Claim | null = null;
  #applicant: Applicant | null = null;
  #door: CertificateDoor | null = null;
  /** Client: while the server wants to see a certificate. */
  #visitor: CertificateVisitor | null = null;
  #busy = false;
  identity: Identity = { session: "", user: { name: "" } };

  constructor(role: Role, options: HandshakeOptions) {
    this.#role = role;
    this.#options = options;
    const { limits, agent, capabilities = [], methods = [], clientTrust, peerName = "" } = options;
    this.#hello = encodeMessage("HELLO", 0, {
      version: PROTOCOL_VERSION,
      agent,
      capabilities: clientTrust ? [...capabilities, CERTIFICATE] : capabilities,
      methods,
      maxData: limits.maxData ?? MAX_DATA,
      window: limits.window,
      maxStreams: limits.maxStreams,
      heartbeat: limits.heartbeat,
      misses: limits.misses,
      peer: peerName,
    });
    if (clientTrust) this.#door = new CertificateDoor(clientTrust, () => this.#hellos());
  }

  hello(): Uint8Array {
    return this.#hello;
  }

  /** Server: who wants to come in, and how; null before the first AUTH. Not proved. */
  get claim(): Claim | null {
    return this.#doorkeeper?.claim ?? this.#door?.claim ?? this.#claim;
  }

  /** It is over, and what it was made with is not needed any more. */
  finish(): void {
    this.#claim = this.claim;
    this.#doorkeeper =
      this.#applicant =
      this.#peerHello =
      this.#door =
      this.#visitor =
        null;
    this.#hello = new Uint8Array(0);
  }

  /**
   * Answers at once where nobody has to be asked.
   *
   * @throws {FshError} BAD_VERSION, BAD_FIELD, AUTH_FAILED, UNEXPECTED_FRAME
   */
  receive(message: MessageOf<"HELLO" | "AUTH" | "CHALLENGE" | "READY">): HandshakeStep | Promise<HandshakeStep> {
    switch (message.name) {
      case "HELLO":
        return this.#greeted((message as MessageOf<"HELLO">).fields);
      case "AUTH":
        return this.#judge((message as MessageOf<"AUTH">).fields);
      case "CHALLENGE":
        return this.#challenged((message as MessageOf<"CHALLENGE">).fields.data);
      default:
        return this.#welcomed((message as MessageOf<"READY">).fields);
    }
  }

  /** The session is over: nobody need go on judging. */
  stop(): void {
    this.#doorkeeper?.stop();
  }

  #greeted(fields: FrameFields<"HELLO">): HandshakeStep | Promise<HandshakeStep> {
    const terms = agree(this.#options.limits, fields);
    this.#peerHello = fields;
    if (this.#role === "server") {
      this.#checkName(fields.peer);
      return { send: [this.#hello], terms };
    }
    const { credentials = { user: "" }, secure = false } = this.#options;
    const hellos = () => this.#hellos();
    this.#applicant = new Applicant(credentials, { secure, hellos });
    if (!fields.capabilities.includes(CERTIFICATE)) return this.#say(this.#applicant.begin(fields.methods), terms);
    this.#visitor = new CertificateVisitor(credentials.certificate, hellos);
    return this.#say(this.#visitor.begin(), terms);
  }

  /** Server: a client that means another server has somebody in between. */
  #checkName(name: string): void {
    const { answersTo, clientTrust } = this.#options;
    if (answersTo ? answersTo(name) : !clientTrust) return;
    const detail = "this server does not have the certificate that the client has seen: somebody may be in between";
    throw new FshError("AUTH_FAILED", { detail });
  }

  #judge(auth: FrameFields<"AUTH">): HandshakeStep | Promise<HandshakeStep> {
    if (this.#door && !this.#door.passed) return this.#showCertificate(this.#door, auth);
    const certificate = this.#door?.passed ?? undefined;
    this.#doorkeeper ??= new Doorkeeper({ ...this.#options, certificate }, () => this.#hellos());
    const answer = this.#doorkeeper.receive(auth);
    return answer instanceof Promise ? answer.then((answer) => this.#answered(answer)) : this.#answered(answer);
  }

  #showCertificate(door: CertificateDoor, auth: FrameFields<"AUTH">): HandshakeStep {
    const data = door.receive(auth);
    if (door.passed) this.#options.certified?.(door.passed);
    return { send: [encodeMessage("CHALLENGE", 0, { data })] };
  }

  #answered({ challenge, user }: Answer): HandshakeStep | Promise<HandshakeStep> {
    const send: Uint8Array[] = [];
    if (challenge) send.push(encodeMessage("CHALLENGE", 0, { data: challenge }));
    if (!user) return { send };
    const welcome = (session: string): HandshakeStep => {
      this.identity = { session, user };
      return { send: [...send, encodeMessage("READY", 0, { session, user: user.name })], ready: true };
    };
    const session = this.#options.admit?.(user, this.claim?.method ?? "") ?? "";
    return session instanceof Promise ? session.then(welcome) : welcome(session);
  }

  #challenged(data: Uint8Array): HandshakeStep | Promise<HandshakeStep> {
    const applicant = this.#applicantFor("CHALLENGE");
    if (!this.#visitor) return this.#say(applicant.challenge(data));
    const shown = this.#visitor.challenge(data);
    if (shown) return this.#say(shown);
    this.#visitor = null;
    return this.#say(applicant.begin(this.#peerHello?.methods ?? []));
  }

  #welcomed({ session, user }: FrameFields<"READY">): HandshakeStep {
    if (this.#visitor) throw new FshError("UNEXPECTED_FRAME", { subject: "READY", detail: "it was not its turn" });
    this.#applicantFor("READY").welcome();
    this.identity = { session, user: { name: user } };
    return { send: [], ready: true };
  }

  /** Client: who speaks next; nobody while an answer is being worked out. */
  #applicantFor(frame: string): Applicant {
    if (this.#applicant && !this.#busy) return this.#applicant;
    throw new FshError("UNEXPECTED_FRAME", { subject: frame, detail: "it was not its turn" });
  }

  #say(
    auth: FrameFields<"AUTH"> | null | Promise<FrameFields<"AUTH"> | null>,
    terms?: Terms,
  ): HandshakeStep | Promise<HandshakeStep> {
    if (auth instanceof Promise) {
      this.#busy = true;
      return auth.finally(() => this.#busy = false).then((auth) => this.#say(auth, terms));
    }
    return { send: auth ? [encodeMessage("AUTH", 0, auth)] : [], ...(terms ? { terms } : {}) };
  }

  /** What both sides said first, the client's before the server's; what was decoded has only one encoding. */
  #hellos(): Uint8Array {
    if (!this.#peerHello) throw new FshError("INTERNAL", { detail: "authentication before HELLO" });
    const peer = encodeMessage("HELLO", 0, this.#peerHello);
    return this.#role === "client" ? hashHellos(this.#hello, peer) : hashHellos(peer, this.#hello);
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
