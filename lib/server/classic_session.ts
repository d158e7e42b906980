import { type Clock, withDeadline } from "../base/clock.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { User } from "../hooks/event.ts";
import type { Authenticate, Claim } from "../session/doorkeeper.ts";
import type { Identity } from "../session/handshake.ts";
import type { SessionLoad } from "../session/load.ts";
import { endOf, type SessionEnd } from "../session/session_end.ts";
import type { Connection } from "../transport/transport.ts";
import { CLASSIC, classicSize, NAME_BYTES, readClassicName, readClassicSize, SIZE_BYTES } from "../wire/classic.ts";
import type { Message } from "../wire/codec.ts";
import { ClassicStream } from "./classic_stream.ts";
import { type ClassicTimeouts, ClassicWire } from "./classic_wire.ts";
import type { Served, ServedStream } from "./served.ts";

/** What a client may still read, and be read of, once its connection is being closed. */
const FAREWELL = { limit: 1000, bytes: 64 * 1024 };

export interface ClassicSessionOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly memory: MemoryAccount;
  readonly load: SessionLoad;
  readonly timeouts: ClassicTimeouts;
  readonly zeroCopy: boolean;
  /** Ways to come in that are offered: a classic client knows only `anonymous`. */
  readonly methods: readonly string[];
  readonly authenticate: Authenticate;
  readonly admit: (user: User, method: string) => string | Promise<string>;
  /** Answers a request; one that is `wrong` as it stands is only told of. */
  readonly serve: (stream: ServedStream, request: Message, wrong: FshError | null) => Promise<void>;
}

/** A command that can't be answered otherwise than by closing the connection. */
class Refusal {
  constructor(readonly error: FshError) {}
}

/** One conversation in the classic protocol (PROTOCOL.md, "The classic protocol"): command by command, in their order. */
export class ClassicSession implements Served {
  readonly terms = null;
  readonly claim: Claim = { method: "anonymous", user: "" };
  readonly ended: Promise<SessionEnd>;
  identity: Identity = { session: "", user: { name: "" } };
  readonly #options: ClassicSessionOptions;
  readonly #connection: Connection;
  readonly #wire: ClassicWire;
  readonly #end = Promise.withResolvers<SessionEnd>();
  readonly #gone = new AbortController();
  #stream: ClassicStream | null = null;
  #commands = 0;
  /** Asked to end; why, for the log. */
  #closing: { readonly error: FshError | null } | null = null;
  #over = false;

  constructor(connection: Connection, options: ClassicSessionOptions) {
    this.#options = options;
    this.#connection = connection;
    this.#wire = new ClassicWire(connection, options);
    this.ended = this.#end.promise;
    options.memory.holder = {
      waitsSince: () => this.#wire.waitsSince,
      evict: (error) => {
        options.log.warn("dropped, as others need memory", { reason: error.detail });
        this.#fail(error);
      },
    };
  }

  readonly protocol = "tcp";

  get local(): string {
    return this.#connection.local;
  }

  get remote(): string {
    return this.#connection.remote;
  }

  get received(): number {
    return this.#wire.received;
  }

  get sent(): number {
    return this.#wire.sent;
  }

  get carried(): number {
    return this.#wire.carried;
  }

  get openStreams(): number {
    return this.#stream ? 1 : 0;
  }

  waiting(): { fail(error: FshError): void }[] {
    return this.#stream && this.#wire.waitsSince !== null ? [this.#stream] : [];
  }

  /** Has the client let in, or not, and begins to serve it. @throws {FshError} AUTH_FAILED, TOO_MANY_OF_USER */
  async start(): Promise<void> {
    try {
      const user = await this.#whoItIs();
      this.identity = { session: await this.#options.admit(user, "anonymous"), user };
    } catch (thrown) {
      const error = toFshError(thrown);
      this.#finish(endOf(error));
      throw error;
    }
    void this.#converse().then((end) => this.#finish(end));
  }

  async #whoItIs(): Promise<User> {
    const { methods, authenticate } = this.#options;
    if (!methods.includes("anonymous")) {
      throw new FshError("AUTH_FAILED", { detail: "the classic protocol has no accounts, and here one is needed" });
    }
    const admission = await authenticate({ method: "anonymous", user: "" }, { signal: this.#gone.signal });
    if ("user" in admission && !("verifier" in admission)) return admission.user;
    throw new FshError("AUTH_FAILED", { detail: "reason" in admission ? admission.reason : undefined });
  }

  /** Answers commands until the client has no more, or one that is the last. */
  async #converse(): Promise<SessionEnd> {
    try {
      while (!this.#closing) {
        const command = await this.#wire.command();
        if (command === null) break;
        await this.#answer(command);
      }
      await this.#wire.bow(FAREWELL);
      return { how: "graceful", error: this.#closing?.error ?? null };
    } catch (thrown) {
      if (thrown instanceof Refusal) {
        await this.#wire.bow(FAREWELL);
        const { error } = thrown;
        // Refused by a rule or a limit, nobody has broken the protocol.
        return error.error === "BAD_CLASSIC" ? endOf(error) : { how: "graceful", error };
      }
      if (this.#closing) return { how: "graceful", error: this.#closing.error };
      return endOf(this.#wire.failure ?? toFshError(thrown));
    }
  }

  async #answer(command: number): Promise<void> {
    switch (command) {
      case CLASSIC.list:
        return await this.#serve({ ...this.#request, name: "LIST", fields: { path: "/", recursive: 0 } });
      case CLASSIC.get: {
        const { name, wrong } = nameIn(await this.#wire.take(NAME_BYTES));
        const fields = { offset: 0, length: null, algorithm: "crc32", prefix: NOTHING, options: 0, priority: 1 };
        return await this.#serve({ ...this.#request, name: "GET", fields: { ...fields, path: `/${name}` } }, { wrong });
      }
      case CLASSIC.put: {
        const head = await this.#wire.take(NAME_BYTES + SIZE_BYTES);
        const { name, wrong } = nameIn(head.subarray(0, NAME_BYTES));
        const size = readClassicSize(head, NAME_BYTES);
        const fields = { size, modified: null, mode: null, algorithm: "crc32", options: 0, key: "" };
        const request: Message = { ...this.#request, name: "PUT", fields: { ...fields, path: `/${name}` } };
        return await this.#serve(request, { wrong: wrong ?? tooLarge(size), incoming: size });
      }
      case CLASSIC.ping: {
        const more = this.#wire.takeEqual(CLASSIC.ping);
        return await this.#wire.write(new Uint8Array(1 + more).fill(CLASSIC.ping));
      }
      default: {
        const detail = `command 0x${command.toString(16).padStart(2, "0")}`;
        throw new Refusal(new FshError("BAD_CLASSIC", { subject: this.#connection.remote, detail }));
      }
    }
  }

  get #request() {
    return { stream: ++this.#commands, fin: true } as const;
  }

  /** A GET that fails is answered as of nothing; of all else the only no is the end of the connection. */
  async #serve(request: Message, about: { wrong?: FshError | null; incoming?: number } = {}): Promise<void> {
    const { wrong = null, incoming = 0 } = about;
    const { memory, load, zeroCopy, serve } = this.#options;
    load.received({ ...request, crc: undefined, payload: NOTHING }, 0);
    using stream = new ClassicStream({ id: request.stream, wire: this.#wire, memory, zeroCopy, incoming });
    this.#stream = stream;
    try {
      await serve(stream, request, wrong);
    } catch (thrown) {
      if (this.#wire.failure) throw this.#wire.failure;
      const error = toFshError(thrown);
      if (stream.begun) {
        this.#fail(error);
        throw error;
      }
      if (request.name !== "GET") throw new Refusal(error);
      await this.#wire.write(classicSize(0));
    } finally {
      this.#stream = null;
    }
  }

  /** Takes no more commands; the one that runs may finish, for `limit` milliseconds, 0: for ever. */
  async close(options: { limit?: number; error?: FshError } = {}): Promise<SessionEnd> {
    const { limit = 0, error = null } = options;
    this.#closing ??= { error };
    const late = new FshError("GOING_AWAY", { subject: this.#connection.remote });
    this.#gone.abort(late);
    if (!this.#stream) this.#wire.stop(error ?? late);
    return await withDeadline(this.ended, limit, () => late).catch(async () => {
      this.#fail(late);
      return await this.ended;
    });
  }

  /** Ends now; the protocol has no words that the client could be told why by. */
  dismiss(error: FshError): Promise<SessionEnd> {
    this.#fail(error);
    return this.ended;
  }

  /** Whatever waits ends: for the client, for memory, for an answer about it. */
  #fail(error: FshError): void {
    this.#gone.abort(error);
    this.#options.memory.close(error);
    if (this.#stream) this.#stream.fail(error);
    else this.#wire.fail(error);
  }

  #finish(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#wire.close();
    this.#options.memory.close(end.error ?? new FshError("CONNECTION_LOST", { subject: this.#connection.remote }));
    this.#end.resolve(end);
  }
}

const NOTHING = new Uint8Array(0);

/** A name, and what is wrong with it; a refused one is not repeated. */
function nameIn(field: Uint8Array): { readonly name: string; readonly wrong: FshError | null } {
  try {
    return { name: readClassicName(field), wrong: null };
  } catch (error) {
    return { name: "", wrong: toFshError(error) };
  }
}

function tooLarge(size: number): FshError | null {
  return size === Infinity ? new FshError("PUT_TOO_LARGE", { detail: "over 2^53 - 1 bytes" }) : null;
}
