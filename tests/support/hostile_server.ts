import { crc32 } from "node:zlib";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds, SCHEME } from "./scheme.ts";
import type { Connection, Listener } from "../../lib/transport/transport.ts";
import type { Message, MessageOf } from "../../lib/wire/codec.ts";
import type { Entry, PackedFile } from "../../lib/wire/field.ts";
import { type FrameFields, frameRow, type RequestName } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { HELLO, RawPeer } from "./raw_peer.ts";

/** Answers one request; `room` waits until the client takes so many bytes more on its stream. */
export type Answer = (peer: RawPeer, request: Message, room: (bytes: number) => Promise<void>) => Promise<void>;

/** What a server tells; where a script says nothing, it answers as an honest one would. */
export interface Script {
  readonly hello?: Partial<FrameFields<"HELLO">>;
  /** Instead of preface and HELLO; the connection closes when it is done. */
  readonly greet?: (connection: Connection) => Promise<void>;
  /** Instead of READY, once HELLO was exchanged. */
  readonly admit?: (peer: RawPeer, auth: MessageOf<"AUTH">) => Promise<void>;
  /** What every listing has. */
  readonly entries?: readonly Partial<Entry>[];
  readonly content?: Uint8Array;
  /** Permission bits and time of whatever is asked for. */
  readonly told?: Partial<Pick<Entry, "mode" | "modified">>;
  /** What symbolic links say, by their paths. */
  readonly links?: Readonly<Record<string, string>>;
  readonly answers?: Readonly<Partial<Record<RequestName | "any", Answer>>>;
}

/** Time that files have where a script says nothing of it. */
export const THEN = 1_600_000_000_000;

export function digestOf(content: Uint8Array): Uint8Array {
  const digest = new Uint8Array(4);
  new DataView(digest.buffer).setUint32(0, crc32(content));
  return digest;
}

/** What a client takes on one stream. */
class Credit {
  #left: number;
  #wake: (() => void) | null = null;

  constructor(window: number) {
    this.#left = window;
  }

  grant(bytes: number): void {
    this.#left += bytes;
    this.#wake?.();
  }

  async spend(bytes: number): Promise<void> {
    while (this.#left < bytes) await new Promise<void>((resolve) => this.#wake = resolve);
    this.#left -= bytes;
  }
}

/** A server that speaks the frames of FSH/1 by hand and lies as its script says. */
export class HostileServer implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #script: Script;
  readonly #peers = new Set<RawPeer>();
  readonly #serving: Promise<void>;
  /** What it was asked, AUTH included, in order. */
  readonly requests: Message[] = [];

  private constructor(listener: Listener, script: Script) {
    this.#listener = listener;
    this.#script = script;
    this.#serving = this.#serve();
  }

  static async start(script: Script): Promise<HostileServer> {
    const transport = quicEnds?.transport ?? new TcpTransport();
    return new HostileServer(await transport.listen({ hostname: "127.0.0.1", port: 0 }), script);
  }

  get url(): string {
    return `${SCHEME}://127.0.0.1:${this.#listener.port}/`;
  }

  /** Connections so far. */
  connections = 0;

  async #serve(): Promise<void> {
    const visits: Promise<void>[] = [];
    try {
      for (;;) {
        const connection = await this.#listener.accept();
        this.connections++;
        // Whatever a client does to a liar is right.
        visits.push(this.#receive(connection).catch(() => {}).finally(() => connection.close()));
      }
    } catch {
      await Promise.all(visits);
    }
  }

  async #receive(connection: Connection): Promise<void> {
    const { greet, hello = {}, admit, answers = {} } = this.#script;
    const peer = new RawPeer(connection);
    this.#peers.add(peer);
    if (greet) return await greet(connection);
    await peer.sendBytes(PREFACE);
    await peer.send("HELLO", 0, { ...HELLO, agent: "hostile", methods: ["anonymous"], ...hello });
    const { window } = (await peer.expect("HELLO")).fields;
    const credits = new Map<number, Credit>();
    const auth = await peer.expect("AUTH");
    this.requests.push(auth);
    if (admit) await admit(peer, auth);
    else await peer.send("READY", 0, { session: "s", user: "" });
    for (let received; (received = await peer.next()) !== null;) {
      const { message } = received;
      if (message.name === "GOAWAY") return;
      if (message.name === "WINDOW") credits.get(message.stream)?.grant((message as MessageOf<"WINDOW">).fields.credit);
      if (frameRow(message.name).on !== "opens") continue;
      this.requests.push(message);
      const credit = new Credit(window);
      credits.set(message.stream, credit);
      const answer = answers[message.name as RequestName] ?? answers.any ??
        ((peer, request) => this.tell(peer, request));
      // Requests run beside each other, as with any server.
      answer(peer, message, (bytes) => credit.spend(bytes)).catch(() => {});
    }
  }

  /** Answers as an honest server with this script's files would. */
  async tell(peer: RawPeer, request: Message): Promise<void> {
    const { entries = [], content = new Uint8Array(), told = {}, links = {} } = this.#script;
    const { stream } = request;
    const attributes = { modified: THEN, mode: 0o644, ...told };
    const entryOf = (path: string) => entries.find(({ name }) => name !== undefined && path.endsWith(`/${name}`));
    switch (request.name) {
      case "STAT": {
        const entry = entryOf((request as MessageOf<"STAT">).fields.path);
        const type = entry?.type ?? (entry ? "file" : "directory");
        const size = type === "file" ? entry?.size ?? content.length : 0;
        return await peer.send("INFO", stream, { type, size, ...attributes, offset: 0 }, true);
      }
      case "LIST":
        await peer.send("ENTRIES", stream, { entries: entries.map((entry) => this.#entry(entry)) });
        return await peer.send("DONE", stream, { count: entries.length, skipped: 0 }, true);
      case "READLINK": {
        const { path } = (request as MessageOf<"READLINK">).fields;
        return await peer.send("TARGET", stream, { target: links[path] ?? "nowhere" }, true);
      }
      case "GETS": {
        const { paths } = (request as MessageOf<"GETS">).fields;
        await peer.send("FILES", stream, { files: paths.map(() => packed(content, attributes)) });
        return await peer.send("DONE", stream, { count: paths.length, skipped: 0 }, true);
      }
      case "GET": {
        await peer.send("INFO", stream, { type: "file", size: content.length, ...attributes, offset: 0 });
        if (content.length > 0) await peer.sendData(stream, content);
        return await peer.send("END", stream, endOf(content), true);
      }
      case "HASH":
        return await peer.send("DIGEST", stream, endOf(content), true);
    }
  }

  #entry(entry: Partial<Entry>): Entry {
    const { content = new Uint8Array(), told = {} } = this.#script;
    const type = entry.type ?? "file";
    return {
      name: "file",
      type,
      size: type === "file" ? content.length : 0,
      modified: THEN,
      mode: 0o644,
      ...told,
      ...entry,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
    await this.#serving;
    await quicEnds?.settled();
  }
}

/** What END says of a content. */
export function endOf(content: Uint8Array): FrameFields<"END"> {
  return { size: content.length, algorithm: "crc32", digest: digestOf(content) };
}

/** A file as GETS answers with it. */
export function packed(content: Uint8Array, told: Partial<PackedFile> = {}): PackedFile {
  return {
    path: "",
    code: 0,
    size: content.length,
    modified: THEN,
    mode: 0o644,
    digest: digestOf(content),
    content,
    ...told,
  };
}
