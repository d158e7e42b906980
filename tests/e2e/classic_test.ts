import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { equalBytes } from "../../lib/base/bytes.ts";
import {
  ClassicPeer,
  type Cut,
  getCommand,
  LIST,
  nameField,
  PING,
  putCommand,
  sizeField,
} from "../support/classic_peer.ts";
import { serveClassic } from "../support/classic_server.ts";
import { eventually, names, peakMemory } from "../support/program.ts";
import { Random } from "../support/random.ts";

const LONG = Deno.env.get("FSH_LONG") === "1";
/** Of the large file, in bytes. */
const LARGE = (LONG ? 1024 : 64) * 1024 * 1024;

for (const cut of ["bytes", "whole"] as const) {
  Deno.test(`list, put, get and ping, ${cut === "bytes" ? "one byte per write" : "everything in one write"}`, async () => {
    await using served = await serveClassic();
    const { server, port } = served;
    Deno.mkdirSync(`${server.folder}/folder`);
    Deno.writeTextFileSync(`${server.folder}/here`, "was here");
    using peer = await ClassicPeer.connect(port);
    peer.cut = cut;
    const content = new Random(1).bytes(3000);
    // All of it is said before anything is read, FIN behind it: every answer comes all the same, in order.
    await peer.send(
      ...[LIST, getCommand("here"), getCommand("nothing"), putCommand("new", content), PING, PING],
      ...[LIST, getCommand("new"), putCommand("new", content.subarray(1)), getCommand("new"), PING],
    );
    await peer.conn.closeWrite();
    assertEquals(await peer.takeNames(), ["here"]);
    assertEquals(new TextDecoder().decode(await peer.takeFile() ?? undefined), "was here");
    assertEquals(await peer.takeFile(), null);
    await peer.takePong();
    await peer.takePong();
    assertEquals(await peer.takeNames(), ["here", "new"]);
    assertEquals(await peer.takeFile(), content);
    assertEquals(await peer.takeFile(), content.subarray(1));
    await peer.takePong();
    assertEquals(await peer.takeEnd(), { how: "closed", bytes: 0 });
    assertEquals(Deno.readFileSync(`${server.folder}/new`), content.subarray(1));
    assertEquals(names(server.folder), ["folder", "here", "new"]);
  });
}

/** Commands, and what has to be answered to them, over a model of the folder. */
class Sequences {
  readonly model = new Map<string, Uint8Array>();
  readonly #random: Random;
  readonly #names: readonly string[];

  constructor(random: Random) {
    this.#random = random;
    this.#names = ["a", "B", "c c", "ü.txt", "-rf", "\u001b[2J", "x".repeat(255), "..a", "日本語", "a\\b", "e\u0301"];
  }

  /** Some commands in one go, or each once the one before it was answered. */
  async run(peer: ClassicPeer): Promise<void> {
    const steps = Array.from({ length: 1 + this.#random.below(6) }, () => this.#step());
    const oneByOne = this.#random.chance(40);
    if (!oneByOne) await peer.send(...steps.map(({ bytes }) => bytes));
    for (const { bytes, check } of steps) {
      if (oneByOne) await peer.send(bytes);
      await check(peer);
    }
  }

  #step(): { bytes: Uint8Array; check: (peer: ClassicPeer) => Promise<void> } {
    const name = this.#random.pick(this.#names);
    switch (this.#random.below(5)) {
      case 0: {
        const due = [...this.model.keys()].sort();
        return { bytes: LIST, check: async (peer) => assertEquals(await peer.takeNames(), due) };
      }
      case 1: {
        const due = this.model.get(name);
        // An empty file is answered as none.
        const check = async (peer: ClassicPeer) => {
          const content = await peer.takeFile();
          assert(content ? equalBytes(content, due ?? new Uint8Array()) : !due?.length, name);
        };
        return { bytes: getCommand(name), check };
      }
      case 2: {
        const hostile = this.#random.pick(["..", "../a", "/a", "a/../B", "", ".fsh-part-1", "/etc/passwd", "a/"]);
        return { bytes: getCommand(hostile), check: async (peer) => assertEquals(await peer.takeFile(), null) };
      }
      case 3:
        return { bytes: PING, check: (peer) => peer.takePong() };
      default: {
        const content = this.#random.bytes(this.#random.pick([0, 1, 7, 264, 4096, 5000, 20_000]));
        this.model.set(name, content);
        return { bytes: putCommand(name, content), check: () => Promise.resolve() };
      }
    }
  }
}

Deno.test("1,000 random sequences of commands, cut at random, leave what a model of them says", async () => {
  await using served = await serveClassic(["--durability", "none"]);
  const { server, port } = served;
  const seed = Number(Deno.env.get("FSH_SEED") ?? 20_260);
  const random = new Random(seed);
  const sequences = new Sequences(random);
  const cuts: readonly Cut[] = ["whole", "whole", "whole", () => 1 + random.below(3000), () => 1 + random.below(300)];
  let peer = await ClassicPeer.connect(port);
  try {
    for (let i = 0; i < 1000; i++) {
      peer.cut = random.pick(cuts);
      await sequences.run(peer).catch((error) => {
        throw new Error(`sequence ${i} with FSH_SEED=${seed}`, { cause: error });
      });
      if (!random.chance(10)) continue;
      // Whatever was put is there once the server has closed behind it.
      await peer.conn.closeWrite();
      assertEquals(await peer.takeEnd(), { how: "closed", bytes: 0 });
      peer.close();
      peer = await ClassicPeer.connect(port);
    }
    await peer.send(PING);
    await peer.takePong();
  } finally {
    peer.close();
  }
  assertEquals(names(server.folder), [...sequences.model.keys()].sort());
  for (const [name, content] of sequences.model) {
    assert(equalBytes(Deno.readFileSync(`${server.folder}/${name}`), content), name);
  }
});

/** Bytes that differ from block to block: a block's number in each of its words. */
function block(number: number, size: number): Uint8Array {
  return new Uint8Array(new Uint32Array(size / 4).fill(number).buffer);
}

Deno.test("a large file goes both ways whole, in constant memory", async () => {
  await using served = await serveClassic(["--durability", "none"], { bytes: LARGE + 64 * 1024 * 1024 });
  const { server, port } = served;
  const size = 1024 * 1024;
  const blocks = LARGE / size;
  using peer = await ClassicPeer.connect(port);
  let begun = performance.now();
  await peer.send(Uint8Array.of(3), nameField("large"), sizeField(blocks * size));
  for (let i = 0; i < blocks; i++) await peer.send(block(i, size));
  await peer.send(PING);
  await peer.takePong();
  const put = performance.now() - begun;
  const memory = peakMemory(server.pid);
  begun = performance.now();
  await peer.send(getCommand("large"));
  assertEquals(await peer.takeSize(), blocks * size);
  for (let i = 0; i < blocks; i++) {
    assert(equalBytes(await peer.take(size), block(i, size)), `block ${i}`);
  }
  const get = performance.now() - begun;
  assertEquals(Deno.statSync(`${server.folder}/large`).size, blocks * size);
  assertLessOrEqual(Math.max(memory, peakMemory(server.pid)), 200);
  if (LONG) console.log(`${blocks} MiB: put ${(put / 1000).toFixed(2)} s, get ${(get / 1000).toFixed(2)} s`);
});

Deno.test("a put whose client dies, and one that stalls, change nothing and leave nothing", async () => {
  await using served = await serveClassic(["--stall-timeout", "1s", "--handshake-timeout", "1s"]);
  const { server, port } = served;
  Deno.writeTextFileSync(`${server.folder}/file`, "before");
  const half = [Uint8Array.of(3), nameField("file"), sizeField(100_000), new Uint8Array(50_000)];
  const part = () => names(server.folder).some((name) => name.startsWith(".fsh-part-"));
  for (const die of ["closes", "says FIN", "stalls"]) {
    using peer = await ClassicPeer.connect(port);
    await peer.send(...half);
    await eventually("a part", 5000, part);
    if (die === "closes") peer.close();
    else if (die === "says FIN") await peer.conn.closeWrite();
    else assertEquals((await peer.takeEnd()).bytes, 0);
    await eventually(`the part to go when its client ${die}`, 5000, () => !part());
    assertEquals(names(server.folder), ["file"]);
    assertEquals(Deno.readTextFileSync(`${server.folder}/file`), "before");
  }
  // A command that is never complete, a byte now and then.
  using slow = await ClassicPeer.connect(port);
  const begun = performance.now();
  await slow.send(getCommand("file").subarray(0, 100));
  const trickle = setInterval(() => void slow.conn.write(new Uint8Array(1)).catch(() => {}), 200);
  try {
    assertEquals((await slow.takeEnd()).bytes, 0);
  } finally {
    clearInterval(trickle);
  }
  assertLessOrEqual(performance.now() - begun, 10_000);
  await server.logged(/handshake not finished in time \(in the middle of a command\)/);
  await server.logged(/STALLED/);
});

Deno.test("two puts of one name at once: one of them is there, whole", async () => {
  await using served = await serveClassic();
  const { server, port } = served;
  const contents = [new Uint8Array(300_000).fill(1), new Uint8Array(200_000).fill(2)];
  const peers = await Promise.all(contents.map(() => ClassicPeer.connect(port)));
  try {
    await Promise.all(peers.map(async (peer, at) => {
      peer.cut = () => 10_000;
      await peer.send(putCommand("same", contents[at] ?? new Uint8Array()), PING);
      await peer.takePong();
    }));
  } finally {
    for (const peer of peers) peer.close();
  }
  const there = Deno.readFileSync(`${server.folder}/same`);
  assert(contents.some((content) => equalBytes(there, content)));
  assertEquals(names(server.folder), ["same"]);
});

Deno.test("any other command closes the connection, after the answers before it", async () => {
  await using served = await serveClassic();
  const { server, port } = served;
  Deno.writeTextFileSync(`${server.folder}/file`, "content");
  for (
    const stray of [
      Uint8Array.of(0),
      Uint8Array.of(5),
      Uint8Array.of(255),
      new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
    ]
  ) {
    using peer = await ClassicPeer.connect(port);
    await peer.send(getCommand("file"), PING, stray, PING);
    assertEquals(await peer.takeFile(), new TextEncoder().encode("content"));
    await peer.takePong();
    assertEquals(await peer.takeEnd(), { how: "closed", bytes: 0 });
  }
});

Deno.test("SIGTERM: a transfer that runs may finish, an idle connection is closed", async () => {
  await using served = await serveClassic();
  const { server, port } = served;
  using idle = await ClassicPeer.connect(port);
  using busy = await ClassicPeer.connect(port);
  const content = new Random(2).bytes(100_000);
  const bytes = putCommand("file", content);
  await busy.send(bytes.subarray(0, 60_000));
  await eventually("the put to begin", 5000, () => names(server.folder).length > 0);
  server.child.kill("SIGTERM");
  assertEquals(await idle.takeEnd(), { how: "closed", bytes: 0 });
  await busy.send(bytes.subarray(60_000));
  assertEquals(await busy.takeEnd(), { how: "closed", bytes: 0 });
  assertEquals((await server.child.status).code, 0);
  assert(equalBytes(Deno.readFileSync(`${server.folder}/file`), content));
});
