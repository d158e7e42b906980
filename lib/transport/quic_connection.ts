import { FshError } from "../base/errors.ts";
import { quicError } from "./quic_error.ts";
import { type Connection, formatAddress } from "./transport.ts";

/** Codes that a connection is closed with: this program's own (RFC 9000, section 20.2). */
const DONE = 0;
const ABORTED = 1;

/** Milliseconds that a closed connection has to bring to the peer what was written before. */
const LINGER = 2_000;
/** Bytes that one write hands over: where a peer takes them slowly, each is a sign of life. */
const WRITE = 256 * 1024;
/** Bytes that the buffer for reading holds: while little comes, and at the most. */
const READ = { least: 2 * 1024, most: 128 * 1024 };

/** Connections of this process whose end is not yet on the wire. */
const leaving = new Set<Promise<void>>();

/** Resolves once the ends of all connections are on their way: a process that exits before takes them along. */
export async function quicEndsSent(): Promise<void> {
  while (leaving.size > 0) await Promise.all(leaving);
}

export interface QuicOptions {
  readonly local: string;
  /** Opens the one stream, or waits for the peer to open it. */
  readonly stream: Promise<Deno.QuicBidirectionalStream>;
  /** See `Connection`. */
  readonly peerName?: string | undefined;
  readonly answersTo?: (name: string) => boolean;
  /** Called once it is over, whatever the end. */
  readonly over?: () => void;
}

interface Ends {
  readonly reader: ReadableStreamBYOBReader;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
}

/**
 * FSH/1 on the first bidirectional stream of a QUIC connection. It has the manners of TCP, which QUIC has not: closing
 * brings what was written to the peer first. For that each side says, by a unidirectional stream without a byte, that it
 * has read the peer's stream to its end; who has both read it and been told so closes the connection.
 */
export class QuicConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly protocol = "quic";
  readonly secure = true;
  readonly peerName: string | undefined;
  readonly answersTo?: (name: string) => boolean;
  readonly #quic: Deno.QuicConn;
  #stream: Promise<Ends> | Ends;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(READ.least);
  /** What was received and not yet read. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #filling: Promise<void> | null = null;
  /** This side has said FIN. */
  #finished = false;
  /** The peer has; resolves once that it was read is told. */
  #ended: Promise<void> | null = null;
  /** Why nothing goes any more; null while it does. */
  #failure: FshError | null = null;
  /** Closed on this side. */
  #closed = false;
  readonly #broken: Promise<FshError>;
  /** Reads and writes under way. */
  readonly #under = new Set<(error: FshError) => void>();

  constructor(quic: Deno.QuicConn, options: QuicOptions) {
    this.#quic = quic;
    this.local = options.local;
    this.remote = addressOf(quic);
    this.peerName = options.peerName;
    if (options.answersTo) this.answersTo = options.answersTo;
    const stream = this.#stream = options.stream.then(({ readable, writable }) => (this.#stream = {
      reader: readable.getReader({ mode: "byob" }),
      writer: writable.getWriter(),
    }));
    // Told to whoever reads or writes.
    stream.catch(() => {});
    const subject = this.remote;
    this.#broken = quic.closed.then(
      () => new FshError("CONNECTION_RESET", { subject }),
      (cause) => quicError(cause, subject),
    );
    this.#broken.then((error) => {
      this.#fail(error);
      options.over?.();
    });
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      if (this.#ended && !this.#closed) return null;
      if (this.#failure) throw this.#failure;
      await this.#unlessFailed(this.#fill());
    }
    const some = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, some));
    this.#rest = this.#rest.subarray(some);
    return some;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#failure) throw this.#failure;
    const some = bytes.length > WRITE ? bytes.subarray(0, WRITE) : bytes;
    await this.#unlessFailed(this.#hand(some));
    return some.length;
  }

  isGone(): boolean {
    return !this.#closed && (this.#failure !== null || this.#ended !== null);
  }

  async closeWrite(): Promise<void> {
    if (this.#failure || this.#finished) return;
    await this.#unlessFailed(this.#finish()).catch((error) => {
      // Already gone: there is nothing left to say it to.
      if (!this.#failure) throw error;
    });
  }

  close(): void {
    if (this.#closed) return;
    // With data unread TCP resets, too.
    if (this.#rest.length > 0 || this.#failure) return this.abort();
    this.#shut();
    track(this.#leave());
  }

  abort(): void {
    if (this.#closed) return;
    this.#shut();
    this.#end(ABORTED);
  }

  #shut(): void {
    this.#closed = true;
    this.#rest = new Uint8Array(0);
    this.#failure = null;
    this.#fail(new FshError("CONNECTION_LOST", { subject: this.remote }));
  }

  /** Puts something into `#rest`, or finds the end. */
  #fill(): Promise<void> {
    this.#filling ??= this.#receive().finally(() => (this.#filling = null));
    return this.#filling;
  }

  async #receive(): Promise<void> {
    const { reader } = this.#stream instanceof Promise ? await this.#stream : this.#stream;
    const { value, done } = await reader.read(this.#buffer);
    if (done || !value) {
      this.#ended = this.#confirm();
      return;
    }
    this.#rest = value;
    // The runtime has taken the buffer away; it comes back below what it read.
    const size = value.buffer.byteLength;
    if (value.length === size && size < READ.most) this.#buffer = new Uint8Array(size * 4);
    else if (value.length * 16 < size && size > READ.least) this.#buffer = new Uint8Array(size / 4);
    else this.#buffer = new Uint8Array(value.buffer);
  }

  async #hand(bytes: Uint8Array): Promise<void> {
    const { writer } = this.#stream instanceof Promise ? await this.#stream : this.#stream;
    await writer.write(bytes);
  }

  async #finish(): Promise<void> {
    this.#finished = true;
    const { writer } = await this.#stream;
    await writer.close();
  }

  /** Tells the peer that its stream was read to the end. */
  async #confirm(): Promise<void> {
    try {
      const told = await this.#quic.createUnidirectionalStream();
      await told.getWriter().close();
    } catch {
      // It is gone, or takes no such stream.
    }
  }

  /** Sees to it that the peer gets everything, and closes. */
  async #leave(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<number>((resolve) => (timer = setTimeout(() => resolve(ABORTED), LINGER)));
    const gone = this.#broken.then(() => DONE);
    const code = await Promise.race([this.#takeLeave().catch(() => ABORTED), late, gone]);
    clearTimeout(timer);
    this.#end(code);
  }

  async #takeLeave(): Promise<number> {
    const told = this.#quic.incomingUnidirectionalStreams.getReader().read();
    told.catch(() => {});
    if (!this.#finished) await this.#finish();
    if (!this.#ended) await this.#fill();
    // It still talks to somebody who does not listen.
    if (!this.#ended) return ABORTED;
    await Promise.all([told, this.#ended]);
    return DONE;
  }

  #end(closeCode: number): void {
    this.#quic.close({ closeCode, reason: "" });
    // It takes a turn to become a packet.
    track(this.#broken.then(() => new Promise((resolve) => setTimeout(resolve, 0))));
  }

  #fail(error: FshError): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const reject of this.#under) reject(error);
    this.#under.clear();
  }

  /** The outcome of the work, unless the connection fails first; the work itself is left alone. */
  #unlessFailed(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#under.add(reject);
      const settle = (end: () => void) => {
        this.#under.delete(reject);
        end();
      };
      work.then(() => settle(resolve), async (cause) => {
        // That the connection broke is known before why it did.
        if (isOfConnection(cause)) this.#fail(await this.#broken);
        else this.#fail(quicError(cause, this.remote));
        settle(() => reject(this.#failure));
      });
    });
  }
}

/** Whether it was the whole connection that went, and not the peer who ended its stream. */
function isOfConnection(cause: unknown): boolean {
  return cause instanceof Deno.errors.NotConnected || cause instanceof Deno.errors.BadResource;
}

function track(work: Promise<void>): void {
  leaving.add(work);
  work.finally(() => leaving.delete(work));
}

/** `address:port` of the peer; an IPv4 address is one, whatever the socket is. */
function addressOf(quic: Deno.QuicConn): string {
  const { hostname, port } = quic.remoteAddr;
  return formatAddress(hostname.replace(/^::ffff:(?=\d+\.)/i, ""), port);
}
