import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { isError } from "../../lib/base/errors.ts";
import { native } from "../../lib/native/load.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import { QuicTransport } from "../../lib/transport/quic.ts";
import { quicEndsSent } from "../../lib/transport/quic_connection.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { TlsTransport } from "../../lib/transport/tls.ts";
import { type Connection, type Listener, type Transport, writeAll } from "../../lib/transport/transport.ts";
import { assertFails } from "../support/named_errors.ts";
import { joined } from "../support/raw_frame.ts";
import { bytesOf, pattern } from "../support/stored_files.ts";

interface Implementation {
  readonly name: string;
  readonly make: () => Transport;
  /** Whether an abort reaches the peer as a reset. */
  readonly resets: boolean;
  /** Whether connections are there before a listener accepts them, and the system tells that one is gone again. */
  readonly waits?: true;
  /** Whether a system tells that nobody listens. */
  readonly refuses?: false;
  /** Whether a port is free again at once. */
  readonly frees?: false;
  /** Waits for what goes on behind a closed connection. */
  readonly settled?: () => Promise<void>;
}

const identity = await makeSelfSigned({ names: ["127.0.0.1"] });
const anchor = { certificates: [identity.cert] };

const implementations: readonly Implementation[] = [
  { name: "tcp", make: () => new TcpTransport(), resets: native().sockets !== null, waits: true },
  { name: "tls", make: () => new TlsTransport({ identity, anchor }), resets: native().sockets !== null },
  // UDP answers nothing where nobody is, and the runtime gives a socket back when it collects its garbage.
  {
    name: "quic",
    make: () => new QuicTransport({ identity, anchor }),
    resets: true,
    refuses: false,
    frees: false,
    settled: quicEndsSent,
  },
  { name: "memory", make: () => new MemoryTransport(), resets: true },
  { name: "memory, a byte at a time", make: () => new MemoryTransport({ chunk: 1, capacity: 16 }), resets: true },
];

const HOST = "127.0.0.1";
const DEADLINE = { timeout: 5000 };

/** Two ends of a connection and what they came from; closed at the end. */
class Pair implements Disposable {
  constructor(readonly listener: Listener, readonly near: Connection, readonly far: Connection) {}

  static async open(transport: Transport): Promise<Pair> {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const [near, far] = await Promise.all([
      transport.connect({ hostname: HOST, port: listener.port, ...DEADLINE }),
      listener.accept(),
    ]);
    return new Pair(listener, near, far);
  }

  [Symbol.dispose](): void {
    this.near.close();
    this.far.close();
    this.listener.close();
  }
}

/** Reads to the end of the peer's side, in buffers of `size` bytes. */
async function readAll(connection: Connection, size = 1000): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(size);
  for (let read; (read = await connection.read(buffer)) !== null;) parts.push(buffer.slice(0, read));
  return joined(...parts);
}

/** Reads exactly so many bytes. */
async function readSome(connection: Connection, length: number): Promise<string> {
  const buffer = new Uint8Array(length);
  for (let have = 0; have < length;) {
    const read = await connection.read(buffer.subarray(have));
    if (read === null) throw new Error(`end after ${have} of ${length} bytes`);
    have += read;
  }
  return new TextDecoder().decode(buffer);
}

for (const { name, make, resets, waits = false, refuses = true, frees = true, settled } of implementations) {
  const test = (behaviour: string, run: (transport: Transport) => Promise<void>, ignore = false) =>
    Deno.test({
      name: `${name}: ${behaviour}`,
      ignore,
      // The runtime can't give up an attempt to connect by QUIC.
      sanitizeOps: refuses || !behaviour.includes("nobody listens"),
      fn: () => run(make()).finally(settled),
    });

  test("what is written arrives, both ways, and the ends know each other", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    await writeAll(near, bytesOf("question"));
    assertEquals(await readSome(far, 8), "question");
    await writeAll(far, bytesOf("answer"));
    assertEquals(await readSome(near, 6), "answer");
    assertEquals([near.remote, near.local], [far.local, far.remote]);
    assertMatch(near.remote, /:\d+$/);
  });

  test("a read waits, and gives no more than its buffer holds", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    const reading = far.read(new Uint8Array(2));
    await writeAll(near, bytesOf("abcde"));
    const first = await reading ?? 0;
    assertEquals(first === 1 || first === 2, true);
    assertEquals((await readSome(far, 5 - first)).at(-1), "e");
  });

  test("8 MiB pass a slow reader whole and in order", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    // A byte at a time 8 MiB would only take long.
    const sent = pattern(name.includes("byte") ? 50_000 : 8 * 1024 * 1024);
    let moved = 0;
    const writing = writeAll(near, sent, (bytes) => moved += bytes).then(() => near.closeWrite());
    const buffer = new Uint8Array(300_000);
    const got = new Uint8Array(sent.length);
    let have = 0;
    for (let read; (read = await far.read(buffer)) !== null;) {
      got.set(buffer.subarray(0, read), have);
      have += read;
      if (have % 1000 < 3) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await writing;
    assertEquals([have, moved], [sent.length, sent.length]);
    assertEquals(got.every((byte, i) => byte === sent[i]), true);
  });

  test("a half-closed connection still reads", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    await writeAll(near, bytesOf("all"));
    await near.closeWrite();
    assertEquals(new TextDecoder().decode(await readAll(far)), "all");
    await writeAll(far, bytesOf("thanks"));
    await far.closeWrite();
    assertEquals(new TextDecoder().decode(await readAll(near)), "thanks");
  });

  test("what was written before a close is read before the end", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    await writeAll(near, bytesOf("bye"));
    near.close();
    assertEquals(new TextDecoder().decode(await readAll(far)), "bye");
    assertEquals(await far.read(new Uint8Array(1)), null);
  });

  test("an abort is a reset for the peer", async (transport) => {
    using pair = await Pair.open(transport);
    const reading = pair.far.read(new Uint8Array(1));
    pair.near.abort();
    const error = await assertFails(() => reading, "CONNECTION_RESET");
    assertEquals(error.subject, pair.far.remote);
    await assertFails(() => writeAll(pair.far, pattern(100)), "CONNECTION_RESET");
  }, !resets);

  test("who left with a reset before it was accepted is named, and holds up nobody behind it", async (transport) => {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const connect = () => transport.connect({ hostname: HOST, port: listener.port, ...DEADLINE });
    for (let i = 0; i < 3; i++) (await connect()).abort();
    const near = await connect();
    for (let i = 0; i < 3; i++) await assertFails(() => listener.accept(), "CONNECTION_RESET");
    const far = await listener.accept();
    assertEquals(far.remote, near.local);
    for (const open of [near, far, listener]) open.close();
  }, !waits);

  test("reads and writes after an own close reject, those under way too", async (transport) => {
    using pair = await Pair.open(transport);
    const { near } = pair;
    const reading = near.read(new Uint8Array(1));
    near.close();
    await assertFails(() => reading, "CONNECTION_LOST");
    await assertFails(() => near.read(new Uint8Array(1)), "CONNECTION_LOST");
    await assertFails(() => near.write(new Uint8Array(1)), "CONNECTION_LOST");
    await near.closeWrite();
    near.close();
    near.abort();
  });

  test("a write that waits for the peer rejects at an own close", async (transport) => {
    using pair = await Pair.open(transport);
    const { near } = pair;
    let written = 0;
    const writing = (async () => {
      for (;;) await writeAll(near, pattern(1_000_000), (bytes) => written += bytes);
    })();
    writing.catch(() => {});
    for (let before = -1; before < written;) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    near.close();
    const failure = await writing.catch((error) => error);
    assertEquals(isError(failure, "CONNECTION_RESET", "CONNECTION_LOST"), true, String(failure));
  });

  test("a writer whose peer is gone hears of it", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far } = pair;
    far.close();
    let failure: unknown;
    try {
      for (let i = 0; i < 1000; i++) await writeAll(near, pattern(10_000));
    } catch (error) {
      failure = error;
    }
    assertEquals(isError(failure, "CONNECTION_RESET", "CONNECTION_LOST"), true, String(failure));
  });

  test("a port where nobody listens is REFUSED, or no answer, by address", async (transport) => {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const { port } = listener;
    listener.close();
    const deadline = refuses ? DEADLINE : { timeout: 300 };
    const failing = () => transport.connect({ hostname: HOST, port, ...deadline });
    const error = await assertFails(failing, refuses ? "REFUSED" : "CONNECT_TIMEOUT");
    assertStringIncludes(error.message, `${HOST}:${port}`);
  });

  test("an address in use is ADDRESS_IN_USE, by address, and free again after close", async (transport) => {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const { port } = listener;
    const error = await assertFails(() => transport.listen({ hostname: HOST, port }), "ADDRESS_IN_USE");
    assertEquals(error.subject, `${HOST}:${port}`);
    listener.close();
    if (frees) (await transport.listen({ hostname: HOST, port })).close();
  });

  test("closing a listener rejects accept, waiting or later; what was accepted stays", async (transport) => {
    using pair = await Pair.open(transport);
    const { near, far, listener } = pair;
    const accepting = listener.accept();
    listener.close();
    listener.close();
    await assertFails(() => accepting, "CONNECTION_LOST");
    await assertFails(() => listener.accept(), "CONNECTION_LOST");
    await writeAll(near, bytesOf("still"));
    assertEquals(await readSome(far, 5), "still");
  });

  test("a connection that nobody accepted ends with the listener", async (transport) => {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const connecting = transport.connect({ hostname: HOST, port: listener.port, ...DEADLINE });
    // With TLS the handshake, and so the connection, waits for the other side.
    await new Promise((resolve) => setTimeout(resolve, 50));
    listener.close();
    await assertFails(() => listener.accept(), "CONNECTION_LOST");
    let end: unknown;
    try {
      const near = await connecting;
      end = await near.read(new Uint8Array(1)).finally(() => near.close());
    } catch (error) {
      end = error;
    }
    assertEquals(end === null || isError(end, "CONNECTION_RESET", "TLS_FAILED"), true, String(end));
  });

  test("many connections at once do not mix", async (transport) => {
    const listener = await transport.listen({ hostname: HOST, port: 0 });
    const many = 100;
    const serving = (async () => {
      const echoes: Promise<void>[] = [];
      for (let i = 0; i < many; i++) {
        const connection = await listener.accept();
        echoes.push(
          readAll(connection).then(async (bytes) => {
            await writeAll(connection, bytes);
            connection.close();
          }),
        );
      }
      await Promise.all(echoes);
    })();
    await Promise.all(Array.from({ length: many }, async (_, i) => {
      const connection = await transport.connect({ hostname: HOST, port: listener.port, ...DEADLINE });
      await writeAll(connection, bytesOf(`I am ${i}`));
      await connection.closeWrite();
      assertEquals(new TextDecoder().decode(await readAll(connection)), `I am ${i}`);
      connection.close();
    }));
    await serving;
    listener.close();
  });
}
