import { withDeadline } from "../../lib/base/clock.ts";
import { errorName, ERRORS } from "../../lib/base/errors.ts";
import { Log } from "../../lib/base/log.ts";
import { Server } from "../../lib/server/server.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { checkHeader, decodeMessage, encodeMessage } from "../../lib/wire/codec.ts";
import { FRAMES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { Splitter } from "../../lib/wire/splitter.ts";
import { Random } from "../support/random.ts";
import { joined } from "../support/raw_frame.ts";
import { HELLO } from "../support/raw_peer.ts";
import { makeSequence, namesFor } from "./sequence.ts";
import type { Tally } from "./codec_target.ts";

/** No sequence may keep the engine busy longer, in milliseconds. */
const DEADLINE = 10_000;
/** Streams that a session is used for before the next one begins. */
const STREAMS = 400;

const GREETING = joined(
  PREFACE,
  encodeMessage("HELLO", 0, HELLO),
);
const AUTH = encodeMessage("AUTH", 0, { method: "anonymous", user: "", data: new Uint8Array() });

/** Hands sequences to a real server's session, one session for many as long as it lives. */
export class EngineTarget {
  readonly tally: Tally = { frames: 0, errors: new Map() };
  sessions = 0;
  readonly #transport: MemoryTransport;
  readonly #server: Server;
  readonly #logged: string[];
  #peer: FuzzPeer | null = null;
  #stream = 1;

  private constructor(transport: MemoryTransport, server: Server, logged: string[]) {
    this.#transport = transport;
    this.#server = server;
    this.#logged = logged;
  }

  static async start(): Promise<EngineTarget> {
    const transport = new MemoryTransport();
    const logged: string[] = [];
    const server = await Server.start({
      transport,
      storage: new MemoryStorage({ capacity: 8 * 1024 * 1024 }),
      hostname: "memory",
      port: 0,
      log: new Log("error", (record) => logged.push(`${record.message} ${JSON.stringify(record.fields)}`)),
      limits: { window: 256 * 1024, maxStreams: 16, heartbeat: 0, misses: 3 },
      readOnly: false,
      maxSessions: 1000,
      handshakeTimeout: 0,
      idleTimeout: 0,
      stallTimeout: 0,
    });
    return new EngineTarget(transport, server, logged);
  }

  /** Throws where the engine hangs, says what the table does not know, or fails in itself. */
  async run(seed: number): Promise<void> {
    await withDeadline(this.#run(new Random(seed)), DEADLINE, () => new Error(`no end within ${DEADLINE} ms`));
    if (this.#logged.length > 0) throw new Error(`the server logged: ${this.#logged.splice(0).join("; ")}`);
  }

  async #run(random: Random): Promise<void> {
    if (random.chance(5)) return await this.#greet(random);
    const peer = this.#peer ??= await this.#connect();
    const { bytes, aligned, chunk } = makeSequence(random, { names: IN_READY, stream: this.#stream });
    this.#stream += 8;
    const alive = await peer.exchange(bytes, { aligned, chunk: Math.max(chunk, 16) });
    if (alive && this.#stream < STREAMS) return;
    await peer.end();
    this.#peer = null;
  }

  /** A session of its own, wrong from the first byte or somewhere in the handshake. */
  async #greet(random: Random): Promise<void> {
    const peer = await this.#open();
    const before = random.pick([new Uint8Array(), PREFACE, GREETING]);
    const names = before === GREETING ? namesFor("client", "auth") : namesFor("client", "hello");
    const { bytes, chunk } = makeSequence(random, { names });
    await peer.exchange(joined(before, bytes), { aligned: false, chunk });
    await peer.end();
  }

  async #connect(): Promise<FuzzPeer> {
    const peer = await this.#open();
    await peer.shakeHands();
    this.#stream = 1;
    return peer;
  }

  async #open(): Promise<FuzzPeer> {
    this.sessions++;
    const connection = await this.#transport.connect({ hostname: "memory", port: this.#server.port, timeout: 1000 });
    return new FuzzPeer(connection, this.tally);
  }

  async close(): Promise<void> {
    await this.#peer?.end();
    await this.#server.close({ limit: 1 });
  }

  get openSessions(): number {
    return this.#server.sessionCount;
  }
}

const IN_READY = namesFor("client", "ready").filter((name) => name !== "GOAWAY" && name !== "ERROR");

/** The far end of a session: checks all that the server says against the table. */
class FuzzPeer {
  readonly #connection: Connection;
  readonly #tally: Tally;
  readonly #splitter = new Splitter((header) => {
    const name = checkHeader(header, "server", header.type === FRAMES.HELLO.code ? "hello" : this.#phase);
    return name;
  });
  #phase: "auth" | "ready" = "auth";
  #preface = 0;
  #nonce = 0;

  constructor(connection: Connection, tally: Tally) {
    this.#connection = connection;
    this.#tally = tally;
  }

  async shakeHands(): Promise<void> {
    await writeAll(this.#connection, GREETING);
    await this.#until((name) => name === "HELLO");
    await writeAll(this.#connection, AUTH);
    if (!await this.#until((name) => name === "READY")) throw new Error("no READY");
  }

  /** Sends bytes and reads all that comes back; answers whether the session lives. */
  async exchange(bytes: Uint8Array, options: { aligned: boolean; chunk: number }): Promise<boolean> {
    const nonce = ++this.#nonce;
    const sending = this.#send(bytes, { ...options, nonce });
    const alive = await this.#until((name, fields) => name === "PONG" && fields.nonce === 1_000_000 + nonce);
    await sending;
    return alive;
  }

  /** A PING behind aligned frames asks whether all is done; after others only FIN is sure to be understood. */
  async #send(bytes: Uint8Array, options: { aligned: boolean; chunk: number; nonce: number }): Promise<void> {
    const { aligned, chunk, nonce } = options;
    try {
      for (let at = 0; at < bytes.length; at += chunk) {
        await writeAll(this.#connection, bytes.subarray(at, Math.min(bytes.length, at + chunk)));
      }
      if (aligned) await writeAll(this.#connection, encodeMessage("PING", 0, { nonce: 1_000_000 + nonce }));
      else await this.#connection.closeWrite();
    } catch {
      // The server has hung up: what it read was wrong enough.
    }
  }

  async end(): Promise<void> {
    await this.#connection.closeWrite();
    await this.#until(() => false);
    this.#connection.close();
    this.#splitter.close();
  }

  /** Reads frames until one is the one; false at the end of the connection. */
  async #until(wanted: (name: string, fields: Record<string, unknown>) => boolean): Promise<boolean> {
    for (;;) {
      while (this.#preface === PREFACE.length) {
        const frame = this.#splitter.next();
        if (frame === null) break;
        this.#tally.frames++;
        if (frame.name === "DATA") continue;
        const { name, fields } = decodeMessage(frame);
        if (name === "READY") this.#phase = "ready";
        if (name === "ERROR") this.#note(fields as { code: number });
        if (wanted(name, fields)) return true;
      }
      let read: number | null;
      try {
        read = await this.#connection.read(this.#splitter.space());
      } catch {
        return false;
      }
      if (read === null) return false;
      this.#take(read);
    }
  }

  /** The preface is read with the rest and taken off the front. A stray's answer is no frames: it is not looked at. */
  #take(read: number): void {
    if (this.#preface === PREFACE.length) return this.#splitter.filled(read);
    const space = this.#splitter.space().subarray(0, read);
    let at = 0;
    while (at < read && this.#preface < PREFACE.length && space[at] === PREFACE[this.#preface]) at++, this.#preface++;
    if (this.#preface < PREFACE.length) return;
    space.copyWithin(0, at);
    this.#splitter.filled(read - at);
  }

  #note({ code }: { code: number }): void {
    const name = errorName(code);
    if (ERRORS[name].code !== code || name === "INTERNAL") throw new Error(`the server answered with error ${code}`);
    this.#tally.errors.set(name, (this.#tally.errors.get(name) ?? 0) + 1);
  }
}
