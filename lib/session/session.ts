import { clipUtf8 } from "../base/bytes.ts";
import { type Clock, systemClock, withDeadline } from "../base/clock.ts";
import { errorName, FshError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { unboundedAccount } from "../base/memory_budget.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { Connection, SocketReport } from "../transport/transport.ts";
import {
  checkHeader,
  decodeMessage,
  encodeMessage,
  type Message,
  type MessageOf,
  type RawFrame,
} from "../wire/codec.ts";
import {
  type FrameFields,
  type FrameName,
  frameRow,
  HEADER_BYTES,
  MAX_DATA,
  type Phase,
  type RequestName,
  type Role,
} from "../wire/frames.ts";
import { ZSTD } from "../wire/compression.ts";
import { PREFACE, strayAnswer } from "../wire/preface.ts";
import type { RequestOpener } from "./command.ts";
import {
  type Claim,
  Handshake,
  type HandshakeOptions,
  type HandshakeStep,
  type Identity,
  type Terms,
} from "./handshake.ts";
import { CRUMB } from "./frame_costs.ts";
import type { SessionLoad } from "./load.ts";
import { Reader, type ReaderHost } from "./reader.ts";
import { isSecure } from "./secure.ts";
import { endOf, type SessionEnd } from "./session_end.ts";
import { Stream, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";
import { Vitals } from "./vitals.ts";
import { Writer } from "./writer.ts";

/** How long the last words may take to reach the peer, in milliseconds. */
const FAREWELL = 2000;
/** The same for a peer that must not come back: megabytes may be in front of them on a slow link. */
const LONG_FAREWELL = 10_000;

export interface SessionOptions extends HandshakeOptions {
  readonly role: Role;
  readonly log: Log;
  readonly clock?: Clock;
  /** Milliseconds from the connection to READY. */
  readonly handshakeTimeout: number;
  /** Milliseconds without a single frame from the peer before an unused session is closed; 0: never. */
  readonly idleTimeout: number;
  /** Milliseconds that a transfer may wait for the peer to move a byte; 0: for ever. */
  readonly stallTimeout: number;
  /** What the session may hold; by default as much as it needs. It is closed with the session. */
  readonly memory?: MemoryAccount;
  /** Whether files may go to the network without passing through this program, where the platform can; by default they do. */
  readonly zeroCopy?: boolean;
  /** Server: the session's part in what keeps the server busy; by default it may have all of it. */
  readonly load?: SessionLoad;
  /** Answers a request; what it throws goes to the peer. Without it, requests are not taken. */
  readonly serve?: (stream: Stream, request: Message) => Promise<void>;
  /** Hears of a request that was one too many at once, or for which there is no memory. */
  readonly overrun?: (request: Message, error: FshError) => void;
  /** Hears of each PING that was not answered in time. */
  readonly missed?: () => void;
}

/**
 * One conversation over one connection: preface, phases, streams, heartbeat, farewell. The same engine serves both
 * ends; what a request means is known only to `serve`. This is the only reader and the only writer of its connection.
 */
export class Session implements RequestOpener {
  readonly ended: Promise<SessionEnd>;
  /** Of the bytes both ways, those that carry no file's content. */
  #overhead = 0;

  readonly #connection: Connection;
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #memory: MemoryAccount;
  readonly #handshake: Handshake;
  readonly #streams: StreamTable;
  /** Made with the first stream. */
  #host: StreamHost | null = null;
  readonly #trace: boolean;
  #log: Log;
  #phase: Phase = "hello";
  #terms: Terms | null = null;
  #vitals: Vitals | null = null;
  #ready = Promise.withResolvers<void>();
  #end = Promise.withResolvers<SessionEnd>();
  #closing: Promise<SessionEnd> | null = null;
  #introduced = false;
  #writing: Promise<void> = Promise.resolve();
  /** Requests that are being served. */
  #running = 0;
  /** The session can't go on; what still comes in is not looked at. */
  #failed = false;
  /** What the session ends with once the last words are out; null while it runs. */
  #farewell: SessionEnd | null = null;
  /** Null while it has not ended: an error takes a kilobyte. */
  #whyEnded: FshError | null = null;
  #cancelFarewell: (() => void) | null = null;

  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#trace = options.log.enabled("trace");
    this.#streams = new StreamTable({ clock: this.#clock, most: () => this.#terms?.maxStreams ?? 1 });
    this.ended = this.#end.promise;
    // Nobody need wait for it.
    this.#ready.promise.catch(() => {});
    const peer: Role = options.role === "client" ? "server" : "client";
    this.#memory = options.memory ?? unboundedAccount();
    this.#reader = new Reader(connection, this.#readerHost(peer), {
      clock: this.#clock,
      memory: this.#memory,
      load: options.load,
    });
    this.#memory.holder = { waitsSince: () => this.#waitsSince(), evict: (error) => this.#evict(error) };
    this.#handshake = new Handshake(options.role, {
      ...options,
      secure: options.secure ?? isSecure(connection),
      peerName: connection.peerName,
      answersTo: connection.answersTo,
    });
    this.#writer = new Writer(connection, {
      clock: this.#clock,
      moved: () => this.#vitals?.moved(),
      written: (now) => this.#vitals?.written(now),
      idle: () => this.#farewell ? "finish" : this.#phase === "closed" ? "stop" : "wait",
    });
  }

  /**
   * Starts the session and resolves when it is ready.
   *
   * @throws {FshError} HANDSHAKE_TIMEOUT, AUTH_FAILED, BAD_PREFACE, or why the session ended
   */
  async start(): Promise<void> {
    if (this.#options.role === "client") {
      this.#sendRaw(PREFACE);
      this.#sendRaw(this.#handshake.hello());
    }
    this.#writing = this.#writer.run().catch((error) => this.#fail(error));
    this.#listen().catch((error) => this.#fail(error)).finally(() => this.#reader.close());
    const { handshakeTimeout } = this.#options;
    try {
      await withDeadline(
        this.#ready.promise,
        handshakeTimeout,
        () =>
          new FshError("HANDSHAKE_TIMEOUT", { subject: this.remote, detail: `within ${handshakeTimeout / 1000} s` }),
      );
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** Bytes that came in, headers included. */
  get received(): number {
    return this.#reader.received;
  }

  /** Bytes that went out, headers included. */
  get sent(): number {
    return this.#writer.sent;
  }

  /** `address:port` of this side. */
  get local(): string {
    return this.#connection.local;
  }

  /** `address:port` of the peer. */
  get remote(): string {
    return this.#connection.remote;
  }

  /** What carries it. */
  get protocol(): "tcp" | "quic" {
    return this.#connection.protocol ?? "tcp";
  }

  /** What the system tells of the connection; null where it can't be asked. */
  inspect(): SocketReport | null {
    return this.#connection.inspect?.() ?? null;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** What the peers agreed on; null before. */
  get terms(): Terms | null {
    return this.#terms;
  }

  /** Name of the session, as the server's log has it, and the user; both empty before READY. */
  get identity(): Identity {
    return this.#handshake.identity;
  }

  /** Server: who wants to come in, and how, whether or not it succeeds; null before the client has said so. */
  get claim(): Claim | null {
    return this.#handshake.claim;
  }

  get #reason(): FshError {
    return this.#whyEnded ?? new FshError("CONNECTION_LOST", { subject: this.remote });
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Bytes of content that went either way so far, in unfinished frames, too; a header counts until its frame is there. */
  get carried(): number {
    return this.received + this.sent - this.#overhead;
  }

  /** The transfers that wait for the peer now; none while it is this side that does not read. */
  waiting(): Stream[] {
    if (this.#vitals?.readsSince === null) return [];
    return this.#streams.all().filter((stream) => stream.waits);
  }

  /** Opens a stream with its request. */
  open<N extends RequestName>(name: N, fields: FrameFields<N>, options: { fin?: boolean } = {}): Stream {
    const stream = this.#newStream(this.#streams.next());
    if (this.#phase !== "ready") {
      stream.sever(this.#phase === "closed" ? this.#reason : new FshError("GOING_AWAY", { subject: this.remote }));
      return stream;
    }
    const { fin = frameRow(name).fin === true } = options;
    // A failure is told to whoever takes the answer.
    this.#streams.begin(stream, () => void stream.send(name, fields, { fin }).catch(() => {}));
    return stream;
  }

  /** Round trip of one PING, in milliseconds. Rejects with why the session ended. */
  ping(): Promise<number> {
    const lost = this.ended.then((end) => {
      throw end.error ?? new FshError("CONNECTION_LOST", { subject: this.remote });
    });
    return this.#vitals ? Promise.race([this.#vitals.ping(), lost]) : lost;
  }

  /**
   * Ends in order: no new streams, open ones finish, all is flushed, FIN. `limit` milliseconds at most, then the rest is
   * told GOING_AWAY. `error`: why, for the peer.
   */
  close(options: { limit?: number; error?: FshError } = {}): Promise<SessionEnd> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: { limit?: number; error?: FshError }): Promise<SessionEnd> {
    if (this.#phase === "closed") return await this.ended;
    const { limit = 0, error } = options;
    const ready = this.#phase === "ready" || this.#phase === "draining";
    this.#introduce();
    this.#say("GOAWAY", 0, { code: error?.code ?? 0, message: clipUtf8(error?.detail ?? "", 1024) });
    if (ready) {
      this.#phase = "draining";
      const idle = this.#streams.idle();
      if (this.#streams.size > 0) {
        await withDeadline(Promise.race([idle, this.ended]), limit, () => new FshError("GOING_AWAY")).catch(() => {});
      }
      for (const stream of this.#streams.all()) {
        stream.fail(new FshError("GOING_AWAY", { subject: this.remote }));
      }
    }
    this.#bow(error ?? null);
    return await this.ended;
  }

  /** Ends at once, with a reset where the platform can send one. */
  abort(error: FshError): void {
    this.#finish({ how: "abrupt", error }, true);
  }

  /** Ends now: all requests fail, and the peer is told why, which it is given some time for. */
  dismiss(error: FshError): Promise<SessionEnd> {
    this.#fail(error, LONG_FAREWELL);
    return this.ended;
  }

  // Reading.

  async #listen(): Promise<void> {
    const how = await this.#reader.run();
    // It may have failed since.
    if (how === "left" && !this.#failed) this.#peerClosed();
    else if (how !== "closed") await this.#sayLastWords();
  }

  #readerHost(peer: Role): ReaderHost {
    const { maxData = MAX_DATA } = this.#options.limits;
    return {
      state: () => this.#phase === "closed" ? "closed" : this.#failed ? "failed" : "open",
      vitals: () => this.#vitals,
      openStreams: () => this.#streams.size,
      running: () => this.#running,
      check: (header) => {
        const name = checkHeader(header, peer, this.#phase);
        if (name === "DATA" && header.length > maxData) {
          throw new FshError("BAD_LENGTH", { subject: name, detail: `${header.length} bytes, at most ${maxData}` });
        }
        return name;
      },
      introduced: () => this.#introduce(),
      strayed: (first, error) => {
        if (this.#options.role === "server" && toFshError(error).error === "BAD_PREFACE") {
          this.#sendRaw(strayAnswer(first));
        }
        this.#fail(toFshError(error).about(this.remote));
      },
      receive: (frame) => this.#receive(frame),
      fail: (error) => this.#fail(error),
    };
  }

  /** Lets the last words out, so that they are not lost to a reset. */
  async #sayLastWords(): Promise<void> {
    try {
      await this.#reader.discard();
      await this.#writing;
    } catch {
      // Gone is what we wait for.
    }
    this.#finish(this.#farewell ?? endOf(this.#reason), false);
  }

  #peerClosed(): void {
    if (this.#reader.isMidFrame) {
      return this.#fail(new FshError("CONNECTION_LOST", { subject: this.remote, detail: "in the middle of a frame" }));
    }
    if (this.#phase === "draining" && this.#streams.size === 0) {
      return this.#finish(this.#farewell ?? { how: "graceful", error: null }, false);
    }
    this.#fail(new FshError("CONNECTION_LOST", { subject: this.remote }));
  }

  /** Since when the peer keeps this session from giving memory back. */
  #waitsSince(): number | null {
    let since = Math.min(this.#reader.waitsSince ?? Infinity, this.#writer.writingSince ?? Infinity);
    // What its peer has sent to a session that is not read is not known.
    const readsSince = this.#vitals?.readsSince ?? null;
    if (readsSince !== null) {
      const stalled = this.#streams.stalledSince(this.#vitals?.lastProgress ?? 0);
      if (stalled !== null) since = Math.min(since, Math.max(stalled, readsSince));
    }
    return since === Infinity ? null : since;
  }

  #evict(error: FshError): void {
    this.#log.warn("dropped, as others need memory", { reason: error.detail, remote: this.remote });
    this.#fail(error);
  }

  #receive(frame: RawFrame): void {
    if (this.#trace) this.#traceFrame("received", frame.name, frame.stream, frame.payload.length);
    if (frame.name === "DATA") {
      this.#overhead += HEADER_BYTES;
      this.#vitals?.progressed();
      const stream = this.#streams.of(frame.name, frame.stream);
      if (frame.payload.length >= CRUMB) this.#options.load?.moved(frame.payload.length, stream?.moved ?? 0);
      return stream?.receiveData(frame.payload, frame.crc);
    }
    if (!frameRow(frame.name).metered) this.#overhead += HEADER_BYTES + frame.payload.length;
    this.#dispatch(decodeMessage(frame), frame.payload.length);
  }

  #dispatch(message: Message, length: number): void {
    switch (message.name) {
      case "HELLO":
      case "AUTH":
      case "CHALLENGE":
      case "READY":
        return this.#shakeHands(message);
      case "PING":
        return this.#say("PONG", 0, message.fields);
      case "PONG":
        return this.#vitals?.pong(message.fields.nonce);
      case "GOAWAY":
        return this.#peerLeaves(message);
      case "ERROR":
        return this.#peerFailed(message);
      case "WINDOW":
        this.#vitals?.progressed();
        return this.#streams.of("WINDOW", message.stream)?.receiveCredit(message.fields.credit);
      case "CANCEL": {
        const error = new FshError(errorName(message.fields.code), { remote: true });
        return this.#streams.of("CANCEL", message.stream)?.receiveError(error);
      }
      default:
        if (frameRow(message.name).on === "opens") return this.#request(message, length);
        return this.#streams.of(message.name, message.stream)?.receiveMessage(message, length);
    }
  }

  #request(message: Message, length: number): void {
    this.#streams.follow(message.name, message.stream);
    if (frameRow(message.name).fin && !message.fin) {
      throw new FshError("BAD_HEADER", {
        subject: message.name,
        detail: "it is the stream's last frame and must say so",
      });
    }
    const stream = this.#newStream(message.stream, message.fin);
    this.#streams.add(stream);
    const { serve, limits } = this.#options;
    const overrun = (error: FshError) => {
      this.#options.overrun?.(message, error);
      stream.fail(error);
    };
    if (!serve) return stream.fail(new FshError("UNSUPPORTED", { subject: message.name }));
    if (this.#phase === "draining") return stream.fail(new FshError("GOING_AWAY"));
    // Those that were given up count until they have noticed.
    if (this.#running >= limits.maxStreams) {
      return overrun(new FshError("TOO_MANY_STREAMS", { detail: `at most ${limits.maxStreams}` }));
    }
    const lease = this.#memory.request(length);
    if (!lease) return overrun(new FshError("NO_MEMORY", { detail: "for one more request; try again later" }));
    this.#running++;
    const served = () => {
      this.#running--;
      stream.worked();
      lease.release();
    };
    serve(stream, message).finally(served).then(() => stream.conclude(), (error) => {
      const failure = toFshError(error);
      // A CANCEL may carry any code; only what failed here is worth a look.
      if (failure.error === "INTERNAL" && !failure.remote) {
        this.#log.error("a command failed", { command: message.name, error: String(failure.cause ?? failure) });
      }
      stream.fail(failure);
    });
  }

  #peerLeaves(message: MessageOf<"GOAWAY">): void {
    const { code, message: text } = message.fields;
    this.#log.debug("the peer goes away", { code, text });
    if (this.#phase === "hello" || this.#phase === "auth") {
      this.#failed = true;
      const name = code === 0 ? "GOING_AWAY" : errorName(code);
      const error = new FshError(name, { subject: this.remote, detail: text || undefined, remote: true });
      return this.#finish(endOf(error), false);
    }
    this.#phase = "draining";
    if (this.#streams.size === 0) this.#bow(null);
  }

  #peerFailed(message: MessageOf<"ERROR">): void {
    const { code, subject, detail } = message.fields;
    const error = new FshError(errorName(code), {
      subject: subject || undefined,
      detail: detail || undefined,
      remote: true,
    });
    if (message.stream === 0) {
      this.#failed = true;
      return this.#finish(endOf(error.about(this.remote)), false);
    }
    this.#streams.of("ERROR", message.stream)?.receiveError(error);
  }

  // The handshake.

  #shakeHands(message: MessageOf<"HELLO" | "AUTH" | "CHALLENGE" | "READY">): void {
    if (message.name === "HELLO") this.#phase = "auth";
    const step = this.#handshake.receive(message);
    // What is known at once takes effect at once: the next frame may be in the buffer already.
    if (!(step instanceof Promise)) return this.#advance(step);
    step.then((step) => this.#advance(step)).catch((error) => this.#fail(error));
  }

  #advance(step: HandshakeStep): void {
    if (this.#phase === "closed" || this.#failed) return;
    if (step.terms) {
      this.#terms = step.terms;
      this.#writer.limit(step.terms.maxData);
    }
    for (const encoded of step.send) this.#sendRaw(encoded);
    if (step.ready) this.#becomeReady();
  }

  #becomeReady(): void {
    const terms = this.#terms;
    if (!terms) throw new FshError("INTERNAL", { detail: "ready without terms" });
    this.#phase = "ready";
    const { session, user } = this.identity;
    this.#log = this.#log.with({ session, user: user.name || undefined });
    const { stallTimeout, idleTimeout } = this.#options;
    this.#vitals = new Vitals({
      clock: this.#clock,
      terms,
      stallTimeout,
      idleTimeout,
      streams: () => this.#streams.values(),
      ping: (nonce) => this.#say("PING", 0, { nonce }),
      missed: this.#options.missed,
      dead: (silence) => {
        const detail = `nothing heard for ${(silence / 1000).toFixed(1)} s, ${terms.misses} heartbeats unanswered`;
        this.#finish(endOf(new FshError("PEER_TIMEOUT", { subject: this.remote, detail })), true);
      },
      stalled: (stream) => {
        this.#log.warn("transfer stalled", { stream: stream.id, seconds: stallTimeout / 1000 });
        stream.fail(new FshError("STALLED", { detail: `no byte moved for ${stallTimeout / 1000} s` }));
      },
      idle: () => this.close({ error: new FshError("IDLE_TIMEOUT", { detail: `for ${idleTimeout / 1000} s` }) }),
    });
    this.#handshake.finish();
    this.#ready.resolve();
  }

  // Writing.

  /** A server's preface goes before whatever else it has to say. */
  #introduce(): void {
    if (this.#introduced || this.#options.role === "client") return;
    this.#introduced = true;
    this.#sendRaw(PREFACE);
  }

  #sendRaw(bytes: Uint8Array): void {
    this.#writer.queue.pushControl(bytes);
  }

  /** Sends a frame ahead of all data. A flood that can't be answered ends the session. */
  #say<N extends FrameName>(name: N, stream: number, fields: FrameFields<N>): void {
    this.#urge(name, encodeMessage(name, stream, fields));
  }

  #urge(name: FrameName, bytes: Uint8Array): void {
    if (this.#phase === "closed" || this.#failed) return;
    if (this.#trace) this.#traceFrame("sent", name, 0, bytes.length);
    try {
      this.#writer.queue.pushControl(bytes);
      this.#overhead += bytes.length;
    } catch (error) {
      this.#fail(error);
    }
  }

  #traceFrame(direction: "sent" | "received", frame: FrameName, stream: number, bytes: number): void {
    this.#log.trace(direction, { frame, stream, bytes, remote: this.remote });
  }

  // Streams.

  #newStream(id: number, remoteFin = false): Stream {
    return new Stream(this.#host ??= this.#streamHost(), {
      id,
      sendWindow: this.#terms?.sendWindow ?? 0,
      receiveWindow: this.#options.limits.window,
      waitsForPeer: this.#options.role === "server",
      remoteFin,
    });
  }

  #streamHost(): StreamHost {
    const chunkSize = () => this.#writer.chunkSize;
    const roundTrip = () => this.#vitals?.roundTrip ?? null;
    const sendsZstd = () => this.#terms?.capabilities.includes(ZSTD) === true;
    return {
      memory: this.#memory,
      transmit: ({ id, moved }, name, bytes, region) => {
        const length = bytes.length + (region?.length ?? 0);
        if (this.#trace) this.#traceFrame("sent", name, id, length);
        if (name === "DATA") this.#options.load?.moved(length, moved);
        return this.#writer.queue.push(id, bytes, region);
      },
      sendsRegions: this.#connection.writeFile !== undefined && this.#options.zeroCopy !== false,
      get sendsZstd() {
        return sendsZstd();
      },
      share: (weight) => weight / this.#streams.heaviest,
      retract: (stream, error) => this.#writer.queue.drop(stream, error),
      urge: (name, bytes) => this.#urge(name, bytes),
      over: (stream) => {
        this.#streams.remove(stream);
        if (this.#streams.size > 0) return;
        if (this.#phase === "draining" && this.#closing === null && !this.#failed) this.#bow(null);
      },
      breach: (error) => this.#fail(error),
      now: () => this.#clock.now(),
      get chunkSize() {
        return chunkSize();
      },
      get roundTrip() {
        return roundTrip();
      },
    };
  }

  // Ending.

  /** All is said: flush, FIN, and wait a little for the peer's FIN. */
  #bow(error: FshError | null, patience = FAREWELL): void {
    if (this.#farewell || this.#phase === "closed") return;
    const end: SessionEnd = error ? endOf(error) : { how: "graceful", error: null };
    this.#whyEnded = error ?? new FshError("GOING_AWAY", { subject: this.remote });
    this.#farewell = end;
    this.#writer.queue.wake();
    this.#cancelFarewell = this.#clock.after(patience, () => this.#finish(end, false));
  }

  /** The session can't go on. The peer is told why, unless it is the connection that failed. */
  #fail(thrown: unknown, patience = FAREWELL): void {
    if (this.#failed || this.#phase === "closed") return;
    const error = toFshError(thrown);
    const end = endOf(error);
    const nobodyHears = end.how === "abrupt" || error.error === "LINK_TIMEOUT";
    if (this.#farewell && nobodyHears) return this.#finish(this.#farewell, false);
    this.#whyEnded = error;
    if (nobodyHears) return this.#finish(end, false);
    const fields = {
      code: error.code,
      subject: clipUtf8(error.subject ?? "", 4096),
      detail: clipUtf8(error.detail ?? "", 1024),
    };
    if (error.error !== "BAD_PREFACE") {
      try {
        this.#introduce();
        this.#writer.queue.pushControl(encodeMessage("ERROR", 0, fields));
      } catch {
        // A flooded queue has no room for it.
      }
    }
    this.#failed = true;
    this.#streams.sever(error);
    this.#ready.reject(error);
    this.#bow(error, patience);
  }

  #finish(end: SessionEnd, abort: boolean): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#handshake.stop();
    this.#vitals?.stop();
    this.#cancelFarewell?.();
    // Whoever said goodbye did not close without notice.
    const error = end.error ??
      (this.#farewell ? this.#reason : new FshError("CONNECTION_LOST", { subject: this.remote }));
    this.#whyEnded = error;
    this.#streams.end(error);
    this.#writer.queue.fail(error);
    this.#ready.reject(error);
    this.#memory.close(error);
    if (abort) this.#connection.abort();
    else this.#connection.close();
    this.#end.resolve(end);
  }
}
