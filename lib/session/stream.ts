import { release } from "../base/buffer_pool.ts";
import { clipUtf8 } from "../base/bytes.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import { dataHeader, encodeMessage, type Message, sealFrame } from "../wire/codec.ts";
import type { Compressor } from "../wire/compression.ts";
import { type FrameFields, type FrameName, frameRow, HEADER_BYTES } from "../wire/frames.ts";
import type { FileRegion } from "../base/file_region.ts";
import { Arrivals } from "./arrivals.ts";
import { type CommandStream, PRIORITIES, type Priority, type Sink } from "./command.ts";
import { ReceiveWindow } from "./receive_window.ts";

/** Unmetered frames that a peer may send ahead of the command that takes them. */
const MAX_WAITING = 16;

/** From this many bytes on, the memory of a message is freed as soon as it was sent, not left to the garbage collector. */
const LARGE_MESSAGE = 64 * 1024;

/** A message is decoded into objects; so much for them, in bytes, beside as much again as the payload has. */
const MESSAGE_COST = 1024;

/** A turn is never shorter than this, in bytes. */
const MIN_CHUNK = 16 * 1024;

/** What a stream needs of its session. */
export interface StreamHost {
  /** What the session may hold. */
  readonly memory: MemoryAccount;
  /** Queues a frame behind the stream's earlier ones, its payload perhaps from a file; resolves once it was written. */
  transmit(stream: Stream, name: FrameName, bytes: Uint8Array, region?: FileRegion): Promise<void>;
  /** Whether payloads can come from files. */
  readonly sendsRegions: boolean;
  /** Whether the peer takes compressed frames. */
  readonly sendsZstd: boolean;
  /** The part of a full turn that a stream of this weight has among those that are open. */
  share(weight: number): number;
  /** Takes back queued frames of the stream; answers how many. */
  retract(stream: number, error: Error): number;
  /** Sends a frame ahead of all data. */
  urge(name: FrameName, bytes: Uint8Array): void;
  /** Called once, when the stream is over for both sides. */
  over(stream: Stream): void;
  /** A breach of the protocol by the peer: ends the session. */
  breach(error: FshError): void;
  now(): number;
  readonly chunkSize: number;
  /** Milliseconds of the shortest round trip so far; null before the first. */
  readonly roundTrip: number | null;
}

export interface StreamOptions {
  readonly id: number;
  /** Bytes that this side may send before the peer grants more. */
  readonly sendWindow: number;
  /** Bytes that the peer may send before this side grants more. */
  readonly receiveWindow: number;
  /** Whether waiting for the peer's next message counts as a stall: on a server it does, as the client only has to send. */
  readonly waitsForPeer: boolean;
  /** Whether the peer's first frame was its last. */
  readonly remoteFin?: boolean;
}

/** One request and its answer: an ordered flow of frames each way, with a window each way. */
export class Stream implements CommandStream {
  readonly id: number;
  /** Bytes of metered payload that went either way so far, unpacked. */
  moved = 0;
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly #abort = new AbortController();

  #credit: number;
  #creditWaiter: { bytes: number; resolve: () => void; reject: (error: Error) => void } | null = null;
  readonly #window: ReceiveWindow;
  readonly #arrived: Arrivals;
  /** Bytes of memory of the message that the command works on. */
  #working = 0;
  #unmetered = 0;
  #sink: Sink | null = null;
  #sinkBusy = false;
  /** Of a chunk that the sink is busy with. */
  #copies = 1;
  #taker: { resolve: (message: Message) => void; reject: (error: Error) => void } | null = null;

  /** Frames given to the session to send. */
  #handed = 0;
  /** Whether the peer can know of the stream: it opened it, or a frame went out. */
  #known: boolean;
  #localFin = false;
  #remoteFin = false;
  #failure: Error | null = null;
  /** The host has heard that the stream is over. */
  #told = false;
  #waitingSince: number | null = null;
  /** Milliseconds that the next frame has waited for credit in `afford`: the link took as much longer for it. */
  #waited = 0;
  #weight: number = PRIORITIES.normal;
  /** A listing may wait as long as the files that it names are moving. */
  #mayWait = false;

  constructor(host: StreamHost, options: StreamOptions) {
    this.id = options.id;
    this.#host = host;
    this.#options = options;
    this.#credit = options.sendWindow;
    this.#window = new ReceiveWindow({
      size: options.receiveWindow,
      now: () => host.now(),
      roundTrip: () => host.roundTrip,
    });
    this.#arrived = new Arrivals((bytes) => host.memory.arrived(bytes));
    this.#remoteFin = options.remoteFin ?? false;
    this.#known = options.waitsForPeer;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Half a window at the most: the peer grants more only after a quarter, and both must never wait for each other. */
  get chunkSize(): number {
    const whole = Math.min(this.#host.chunkSize, this.#options.sendWindow >> 1);
    return Math.max(MIN_CHUNK, Math.floor(whole * this.#host.share(this.#weight)));
  }

  /** How much weight the stream has among the others: they take turns, and a turn is as long as the weight says. */
  get weight(): number {
    return this.#weight;
  }

  prioritize(priority: Priority): void {
    this.#weight = PRIORITIES[priority];
  }

  get memory(): MemoryAccount {
    return this.#host.memory;
  }

  get credit(): number {
    return this.#credit;
  }

  afford(bytes: number): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#credit >= bytes) return undefined;
    this.#waitingSince ??= this.#host.now();
    this.#mayWait = false;
    const begun = this.#host.now();
    return new Promise<void>((resolve, reject) => {
      this.#creditWaiter = { bytes, resolve, reject };
    }).finally(() => {
      this.#waitingSince = null;
      this.#waited += this.#host.now() - begun;
    });
  }

  get sendsRegions(): boolean {
    return this.#host.sendsRegions;
  }

  get sendsZstd(): boolean {
    return this.#host.sendsZstd;
  }

  /** Whether nothing has moved for `limit` milliseconds although the peer could move it. */
  hasStalled(limit: number, lastProgress: number): boolean {
    const since = this.stalledSince(lastProgress);
    return since !== null && this.#host.now() - since > limit;
  }

  /** Since when nothing has moved although the peer could move it; null: it could not, or need not. */
  stalledSince(lastProgress: number): number | null {
    if (this.#waitingSince === null) return null;
    return this.#mayWait ? Math.max(this.#waitingSince, lastProgress) : this.#waitingSince;
  }

  /** Whether a transfer stands still until the peer moves, and for no other reason. */
  get waits(): boolean {
    return this.#waitingSince !== null && !this.#mayWait;
  }

  send<N extends FrameName>(
    name: N,
    fields: FrameFields<N>,
    options: { fin?: boolean; compressor?: Compressor } = {},
  ): Promise<void> {
    return this.#sendEncoded(name, encodeMessage(name, this.id, fields, options.fin), options);
  }

  async #sendEncoded(
    name: FrameName,
    bytes: Uint8Array<ArrayBuffer>,
    { fin = false, compressor }: { fin?: boolean; compressor?: Compressor },
  ): Promise<void> {
    const packed = this.sendsZstd ? compressor?.compress(bytes) : null;
    if (packed) sealFrame(packed, name, this.id, { fin, zstd: true });
    const begun = this.#host.now();
    await this.#transmit(name, packed ?? bytes, { fin, cost: bytes.length - HEADER_BYTES });
    compressor?.sent(packed?.length ?? bytes.length, this.#host.now() - begun);
    if (bytes.length > LARGE_MESSAGE) release(bytes);
  }

  async sendData(frame: Uint8Array, options: { crc?: number; compressor?: Compressor } = {}): Promise<void> {
    const { crc, compressor } = options;
    const packed = this.sendsZstd ? compressor?.compress(frame) : null;
    if (packed) sealFrame(packed, "DATA", this.id, { zstd: true });
    else sealFrame(frame, "DATA", this.id, { crc });
    const begun = this.#host.now() - this.#waited;
    this.#waited = 0;
    await this.#transmit("DATA", packed ?? frame, { cost: frame.length - HEADER_BYTES });
    compressor?.sent(packed?.length ?? frame.length, this.#host.now() - begun);
  }

  async sendRegion(region: FileRegion): Promise<void> {
    this.#waited = 0;
    const header = dataHeader(this.id, region.length, region.crc);
    await this.#transmit("DATA", header, { cost: region.length, region });
  }

  /** `cost`: bytes that a metered frame takes from the window, which are those of its payload unpacked. */
  async #transmit(
    name: FrameName,
    bytes: Uint8Array,
    options: { fin?: boolean; cost: number; region?: FileRegion },
  ): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { fin = false, cost, region } = options;
    const metered = frameRow(name).metered === true;
    if (metered) {
      this.#waitingSince = this.#host.now();
      this.#mayWait = name !== "DATA";
      // No wait where there is credit: what is sent next must not overtake it.
      const granted = this.#spend(cost);
      if (granted) await granted;
    }
    if (fin) this.#localFin = true;
    this.#handed++;
    await this.#host.transmit(this, name, bytes, region).catch((error) => {
      // Where the stream is over, its connection may have gone with it; why the stream is over says more.
      throw this.#failure ?? error;
    });
    if (metered) {
      this.#waitingSince = null;
      this.moved += cost;
    }
    if (fin) this.#settle();
  }

  /** Takes credit. Undefined, or a promise for when the peer has granted it. */
  #spend(bytes: number): Promise<void> | undefined {
    if (this.#credit < bytes) return this.#spendLater(bytes);
    this.#credit -= bytes;
  }

  async #spendLater(bytes: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#creditWaiter = { bytes, resolve, reject };
    });
    this.#credit -= bytes;
  }

  next(): Promise<Message> {
    return this.#take(null);
  }

  drain(sink: Sink, { copies = 1 }: { readonly copies?: number } = {}): Promise<Message> {
    this.#copies = copies;
    return this.#take(sink);
  }

  #take(sink: Sink | null): Promise<Message> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.worked();
      this.#taker = { resolve, reject };
      this.#sink = sink;
      if (sink !== null || this.#options.waitsForPeer) this.#waitingSince = this.#host.now();
      this.#mayWait = false;
      this.#pump();
      this.#refuseAbsence();
    });
  }

  cancel(reason: Error): void {
    if (this.#over) return;
    const code = toFshError(reason).code;
    this.#finish(reason);
    if (this.#known) this.#host.urge("CANCEL", encodeMessage("CANCEL", this.id, { code }));
  }

  /** The command failed on this side: tells the peer why. */
  fail(error: FshError): void {
    if (this.#over) return;
    this.#finish(error);
    if (!this.#known) return;
    const fields = {
      code: error.code,
      subject: clipUtf8(error.subject ?? "", 4096),
      detail: clipUtf8(error.detail ?? "", 1024),
    };
    this.#host.urge("ERROR", encodeMessage("ERROR", this.id, fields));
  }

  /** The command is done with the last message that it took. */
  worked(): void {
    this.#host.memory.arrived(-this.#working);
    this.#working = 0;
  }

  /** The command has given its whole answer; what the peer may still send is of no interest. */
  conclude(): void {
    if (!this.#over) this.#finish(new FshError("CANCELLED"));
  }

  // What follows is called by the session with what came in.

  receiveData(payload: Uint8Array, crc?: number): void {
    if (!this.#admit("DATA", payload.length)) return;
    // An empty one says that more will come.
    if (payload.length === 0) {
      if (this.#waitingSince !== null) this.#waitingSince = this.#host.now();
      return;
    }
    if (this.#arrived.length === 0 && this.#sink !== null && !this.#sinkBusy) return this.#feed(payload, crc);
    this.#arrived.addData(payload, crc);
    this.#pump();
  }

  receiveMessage(message: Message, length: number): void {
    const metered = frameRow(message.name).metered ? length : 0;
    if (!this.#admit(message.name, metered)) return;
    if (message.fin) this.#remoteFin = true;
    if (metered === 0 && ++this.#unmetered > MAX_WAITING) {
      return this.#host.breach(new FshError("FLOOD", { subject: message.name }));
    }
    const cost = 2 * length + MESSAGE_COST;
    this.#host.memory.arrived(cost);
    this.#arrived.addMessage({ message, metered, cost });
    this.#pump();
  }

  receiveCredit(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > 2 ** 32) return this.#host.breach(new FshError("BAD_FIELD", { subject: "WINDOW" }));
    const waiter = this.#creditWaiter;
    if (waiter && this.#credit >= waiter.bytes) {
      this.#creditWaiter = null;
      waiter.resolve();
    }
  }

  receiveError(error: FshError): void {
    this.#finish(error);
  }

  /** The session is over. */
  sever(error: Error): void {
    this.#finish(error);
  }

  /** Whether the peer may send this now; counts it against the window. */
  #admit(name: FrameName, metered: number): boolean {
    if (this.#remoteFin) {
      this.#host.breach(new FshError("UNEXPECTED_FRAME", { subject: name, detail: "after the stream's last frame" }));
      return false;
    }
    if (!this.#window.spend(metered)) {
      this.#host.breach(new FshError("WINDOW_EXCEEDED", { subject: name }));
      return false;
    }
    this.moved += metered;
    return true;
  }

  /** Hands over what has arrived, as far as somebody takes it. */
  #pump(): void {
    while (!this.#sinkBusy && this.#taker !== null) {
      const first = this.#arrived.shift();
      if (first === undefined) break;
      if ("bytes" in first) {
        if (this.#sink === null) {
          return this.#host.breach(new FshError("UNEXPECTED_FRAME", { subject: "DATA" }));
        }
        this.#feed(first.bytes.subarray(0, first.length), first.crc);
        this.#arrived.free(first);
      } else {
        const taker = this.#taker;
        this.#taker = null;
        this.#sink = null;
        this.#waitingSince = null;
        this.#working += first.cost;
        if (first.metered > 0) this.#grant(first.metered);
        else this.#unmetered--;
        taker.resolve(first.message);
      }
    }
    this.#settle();
  }

  /** Whoever waits for a frame after the peer's last one would wait for ever. */
  #refuseAbsence(): void {
    if (!this.#remoteFin || this.#arrived.length > 0 || this.#sinkBusy) return;
    this.#refuse(new FshError("UNEXPECTED_FRAME", { detail: "the answer ended too early" }));
  }

  #feed(chunk: Uint8Array, crc: number | undefined): void {
    const length = chunk.length;
    let busy: Promise<void> | void;
    try {
      busy = this.#sink?.(chunk, crc);
    } catch (error) {
      return this.#refuse(error);
    }
    if (busy === undefined) return this.#fed(length);
    this.#sinkBusy = true;
    this.#waitingSince = null;
    // Whoever is busy with it has a copy, or several.
    const copied = length * this.#copies;
    this.#host.memory.arrived(copied);
    busy.finally(() => this.#host.memory.arrived(-copied)).then(() => {
      this.#sinkBusy = false;
      this.#fed(length);
      this.#pump();
      this.#refuseAbsence();
    }, (error) => {
      this.#sinkBusy = false;
      this.#refuse(error);
    });
  }

  #fed(length: number): void {
    this.#waitingSince = this.#taker === null ? null : this.#host.now();
    this.#grant(length);
  }

  /** The sink failed: whoever drains hears of it, and answers the peer. */
  #refuse(error: unknown): void {
    const taker = this.#taker;
    this.#taker = null;
    this.#sink = null;
    this.#waitingSince = null;
    taker?.reject(toFshError(error));
  }

  /** Lets the peer send as much as was taken, now and then. */
  #grant(bytes: number): void {
    if (this.#remoteFin || this.#over) return;
    const credit = this.#window.consume(bytes);
    if (credit > 0) this.#host.urge("WINDOW", encodeMessage("WINDOW", this.id, { credit }));
  }

  get #over(): boolean {
    return this.#failure !== null || this.#told;
  }

  /** Over, once both sides have sent their last frame and all of it was taken. */
  #settle(): void {
    if (this.#localFin && this.#remoteFin && this.#arrived.length === 0 && !this.#sinkBusy) this.#tell();
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#host.over(this);
  }

  #finish(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#waitingSince = null;
    this.#arrived.clear();
    this.#abort.abort(error);
    this.#creditWaiter?.reject(error);
    this.#creditWaiter = null;
    const taker = this.#taker;
    this.#taker = null;
    this.#sink = null;
    taker?.reject(error);
    if (this.#handed > this.#host.retract(this.id, error)) this.#known = true;
    this.#tell();
  }
}
