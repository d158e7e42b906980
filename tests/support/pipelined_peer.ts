import { errorName } from "../../lib/base/errors.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds } from "./scheme.ts";
import type { Connection } from "../../lib/transport/transport.ts";
import { type Spot } from "./hostile_paths.ts";
import { joined } from "./raw_frame.ts";
import { RawPeer, type Received } from "./raw_peer.ts";

/** Requests that are under way at once in a session. */
const AT_ONCE = 48;

/** What a request came to, as far as it tells anything. */
export interface Answer {
  /** The error's name; null: it was done. For one of many files: that file's. */
  readonly error: string | null;
  /** The whole of it, as text. */
  readonly text: string;
}

/** Sees all bytes that come, and fails at the first that hold something they must not. */
export function watched(connection: Connection, forbidden: readonly string[]): Connection {
  const decoder = new TextDecoder("latin1");
  const most = Math.max(...forbidden.map((text) => text.length));
  let tail = "";
  const read = connection.read.bind(connection);
  connection.read = async (buffer) => {
    const count = await read(buffer);
    if (count === null) return null;
    const text = tail + decoder.decode(buffer.subarray(0, count));
    for (const one of forbidden) if (text.includes(one)) throw new Error(`${one} came from the server`);
    tail = text.slice(-most);
    return count;
  };
  return connection;
}

/** A raw client that asks many things at once. */
export class PipelinedPeer {
  readonly #peer: RawPeer;
  #stream = 1;

  private constructor(peer: RawPeer) {
    this.#peer = peer;
  }

  static async connect(port: number, forbidden: readonly string[]): Promise<PipelinedPeer> {
    const connection = await (quicEnds?.transport ?? new TcpTransport()).connect({
      hostname: "127.0.0.1",
      port,
      timeout: 5000,
    });
    const peer = new RawPeer(watched(connection, forbidden));
    await peer.shakeHands({ window: 64 * 1024 * 1024 });
    return new PipelinedPeer(peer);
  }

  /** Number of the next stream. */
  get stream(): number {
    return this.#stream;
  }

  /** Asks for all, many at a time, and answers in their order. */
  async ask(wishes: readonly { readonly spot: Spot; readonly path: string }[]): Promise<Answer[]> {
    const answers = new Map<number, Answer>();
    const first = this.#stream;
    const texts = new Map<number, string[]>();
    let sent = 0;
    while (answers.size < wishes.length) {
      const frames: Uint8Array[] = [];
      while (sent < wishes.length && sent - answers.size < AT_ONCE) {
        const { spot, path } = wishes[sent++] as typeof wishes[number];
        frames.push(spot.frames(this.#stream, path));
        texts.set(this.#stream, []);
        this.#stream += 2;
      }
      if (frames.length > 0) await this.#peer.sendBytes(joined(...frames));
      const received = await this.#peer.next();
      if (received === null) throw new Error("the server closed the connection");
      const { message: { name, stream } } = received;
      const text = texts.get(stream);
      if (text === undefined) throw new Error(`${name} on stream ${stream}`);
      text.push(textOf(received));
      const spot = wishes[(stream - first) / 2]?.spot as Spot;
      if (isLast(received, spot)) answers.set(stream, { error: errorOf(received, text, spot), text: text.join("\n") });
    }
    return wishes.map((_, at) => answers.get(first + 2 * at) as Answer);
  }

  async close(): Promise<void> {
    this.#peer.close();
    await quicEnds?.settled();
  }
}

function textOf({ message, data }: Received): string {
  return message.name + JSON.stringify(message.fields) + new TextDecoder().decode(data);
}

function isLast({ message: { name, fin } }: Received, { request }: Spot): boolean {
  return name === "ERROR" || fin || (request === "PUTS" && name === "STORED");
}

/** GETS and PUTS say of each file what became of it; the second one is the one that counts. */
function errorOf({ message }: Received, texts: readonly string[], { request }: Spot): string | null {
  if (message.name === "ERROR") return errorName(message.fields.code);
  let code = 0;
  if (message.name === "STORED") code = message.fields.outcomes[1]?.code ?? 0;
  if (request === "GETS") {
    const codes = [...texts.join("").matchAll(/"code":(\d+)/g)].map(([, digits]) => Number(digits));
    code = codes[1] ?? 0;
  }
  return code === 0 ? null : errorName(code);
}
