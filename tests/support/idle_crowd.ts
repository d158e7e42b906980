// Opens many sessions that do nothing but answer PINGs, and says how punctual those are. A process of its own, so that
// what it measures is not held up by a test, and its descriptors are not the test's.
// Arguments: port, sessions, token, heartbeat in milliseconds. It prints `ready` when all are in, and then, for every
// line on its standard input, what came since the last one as JSON (IdleReport).
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/codec.ts";
import { frameName } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { Splitter } from "../../lib/wire/splitter.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { HELLO } from "./raw_peer.ts";

export interface IdleReport {
  /** Sessions that are still there. */
  readonly sessions: number;
  /** PINGs that came. */
  readonly pings: number;
  /** Milliseconds after they were due: 99 of 100 were not later. */
  readonly late: number;
  readonly latest: number;
}

/** Connections that are being opened at once. */
const AT_ONCE = 50;

class IdleSession {
  #connection: Deno.TcpConn | null = null;
  /** When the server last heard of this session. */
  #said = 0;

  async start(options: { port: number; token: string; heartbeat: number }): Promise<void> {
    const { port, token, heartbeat } = options;
    const connection = this.#connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    const hello = { ...HELLO, agent: "idle", heartbeat };
    await this.#say(PREFACE, encodeMessage("HELLO", 0, hello));
    await this.#say(encodeMessage("AUTH", 0, { method: "token", user: "", data: encodeUtf8(token) }));
    const ready = Promise.withResolvers<void>();
    this.#listen(connection, () => ready.resolve(), heartbeat).catch(ready.reject).finally(() => {
      this.#connection = null;
    });
    await ready.promise;
  }

  get isOpen(): boolean {
    return this.#connection !== null;
  }

  async #say(...parts: Uint8Array[]): Promise<void> {
    for (const part of parts) if (this.#connection) await writeAll(this.#connection as never, part);
    this.#said = performance.now();
  }

  async #listen(connection: Deno.TcpConn, ready: () => void, heartbeat: number): Promise<void> {
    const preface = new Uint8Array(PREFACE.length);
    for (let have = 0; have < preface.length;) have += await connection.read(preface.subarray(have)) ?? fail("closed");
    const splitter = new Splitter((header) => frameName(header.type) ?? fail(`frame of type ${header.type}`));
    let first = true;
    for (;;) {
      for (let frame; (frame = splitter.next()) !== null;) {
        const message = decodeMessage(frame);
        if (message.name === "ERROR") fail(`ERROR ${message.fields.code} ${message.fields.detail}`);
        if (message.name === "READY") ready();
        if (message.name !== "PING") continue;
        // The first one comes at once, for the round trip.
        if (!first) late.push(performance.now() - this.#said - heartbeat);
        first = false;
        await this.#say(encodeMessage("PONG", 0, message.fields));
      }
      const read = await connection.read(splitter.space());
      if (read === null) return;
      splitter.filled(read);
    }
  }
}

function fail(why: string): never {
  throw new Error(why);
}

let late: number[] = [];

if (import.meta.main) {
  const [port = "", count = "", token = "", heartbeat = ""] = Deno.args;
  const sessions = Array.from({ length: Number(count) }, () => new IdleSession());
  const waiting = [...sessions];
  const open = async () => {
    for (let one; (one = waiting.pop());) {
      await one.start({ port: Number(port), token, heartbeat: Number(heartbeat) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  console.log("ready");
  for await (const _ of Deno.stdin.readable) {
    const sorted = late.toSorted((a, b) => a - b);
    late = [];
    const report: IdleReport = {
      sessions: sessions.filter((one) => one.isOpen).length,
      pings: sorted.length,
      late: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      latest: sorted.at(-1) ?? 0,
    };
    console.log(JSON.stringify(report));
  }
  Deno.exit(0);
}
