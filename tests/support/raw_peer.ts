import { assertEquals, fail } from "@std/assert";
import { errorName } from "../../lib/base/errors.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { decodeMessage, encodeMessage, type Message, type MessageOf, sealFrame } from "../../lib/wire/codec.ts";
import { type FrameFields, type FrameName, frameName, HEADER_BYTES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { Splitter } from "../../lib/wire/splitter.ts";

/** A frame as it came; DATA has its bytes, others their fields. */
export type Received = { readonly message: Message; readonly data: Uint8Array };

export const HELLO: FrameFields<"HELLO"> = {
  version: 1,
  agent: "raw",
  capabilities: [],
  methods: [],
  maxData: 1024 * 1024,
  window: 256 * 1024,
  maxStreams: 64,
  heartbeat: 0,
  misses: 3,
  peer: "",
};

/** A client without an engine: it sends whatever a test says, right or wrong, and reads frame by frame. */
export class RawPeer {
  readonly connection: Connection;
  readonly #splitter = new Splitter((header) => frameName(header.type) ?? fail(`frame of type ${header.type}`));
  readonly #preface: number[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async shakeHands(hello: Partial<FrameFields<"HELLO">> = {}): Promise<void> {
    await this.sendBytes(PREFACE);
    await this.send("HELLO", 0, { ...HELLO, peer: this.connection.peerName ?? "", ...hello });
    await this.expect("HELLO");
    await this.send("AUTH", 0, { method: "anonymous", user: "raw", data: new Uint8Array() });
    await this.expect("READY");
  }

  sendBytes(bytes: Uint8Array): Promise<void> {
    return writeAll(this.connection, bytes);
  }

  send<N extends FrameName>(name: N, stream: number, fields: FrameFields<N>, fin = false): Promise<void> {
    return this.sendBytes(encodeMessage(name, stream, fields, fin));
  }

  sendData(stream: number, bytes: Uint8Array): Promise<void> {
    const frame = new Uint8Array(HEADER_BYTES + bytes.length);
    frame.set(bytes, HEADER_BYTES);
    sealFrame(frame, "DATA", stream);
    return this.sendBytes(frame);
  }

  /** The next frame, the preface taken off and PINGs left out; null at the end. */
  async next(): Promise<Received | null> {
    for (;;) {
      const begun = this.#preface.length === PREFACE.length;
      const frame = begun ? this.#splitter.next() : null;
      if (frame?.name === "DATA") {
        const message = { name: "DATA", stream: frame.stream, fin: false, fields: {} } as const;
        return { message, data: frame.payload.slice() };
      }
      // While data flows the engine measures the round trip now and then.
      if (frame?.name === "PING") continue;
      if (frame) return { message: decodeMessage(frame), data: new Uint8Array() };
      const into = begun ? this.#splitter.space() : new Uint8Array(PREFACE.length - this.#preface.length);
      const read = await this.connection.read(into);
      if (read === null) return null;
      if (begun) this.#splitter.filled(read);
      else {
        this.#preface.push(...into.subarray(0, read));
        assertEquals(this.#preface, [...PREFACE.subarray(0, this.#preface.length)]);
      }
    }
  }

  /** The next frame, which must be of that name. */
  async expect<N extends FrameName>(name: N): Promise<MessageOf<N>> {
    const received = await this.next();
    const got = received?.message.name === "ERROR" ? describe(received.message) : received?.message.name;
    assertEquals<string | undefined>(received?.message.name, name, `${got} instead of ${name}`);
    return received?.message as unknown as MessageOf<N>;
  }

  /** Reads up to the next ERROR and answers its code's name and its stream. */
  async error(): Promise<{ error: string; stream: number; subject: string }> {
    for (;;) {
      const received = await this.next();
      if (received === null) fail("the connection ended without an ERROR");
      const { message } = received;
      if (message.name !== "ERROR") continue;
      return { error: errorName(message.fields.code), stream: message.stream, subject: message.fields.subject };
    }
  }

  /** Reads to the end of the connection; answers the frames that still came. */
  async rest(): Promise<FrameName[]> {
    const names: FrameName[] = [];
    for (let received; (received = await this.next()) !== null;) names.push(received.message.name);
    return names;
  }

  close(): void {
    this.connection.close();
  }
}

function describe(message: MessageOf<"ERROR">): string {
  return `ERROR ${errorName(message.fields.code)} ${message.fields.detail}`;
}
