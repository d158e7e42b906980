import { assert, assertEquals, assertMatch } from "@std/assert";
import { concatBytes, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { makeEvent, type Reply } from "../../../lib/hooks/host.ts";
import {
  encodeSandboxMessages,
  type FromSandbox,
  MOST_SAID,
  sandboxMessages,
  type ToSandbox,
} from "../../../lib/hooks/sandbox_message.ts";
import { SandboxWriter } from "../../../lib/hooks/sandbox_writer.ts";
import { asked, chunkFacts } from "../../support/plugins.ts";

/** A source that gives at most so many bytes at a time. */
function source(bytes: Uint8Array, sizes: () => number) {
  let at = 0;
  return {
    read(buffer: Uint8Array): Promise<number | null> {
      if (at === bytes.length) return Promise.resolve(null);
      const size = Math.min(buffer.length, Math.max(1, sizes()), bytes.length - at);
      buffer.set(bytes.subarray(at, at += size));
      return Promise.resolve(size);
    },
  };
}

async function read<M>(bytes: Uint8Array, sizes = () => Infinity, most?: number): Promise<M[]> {
  const all: M[] = [];
  for await (const messages of sandboxMessages<M>(source(bytes, sizes), most)) all.push(...messages);
  return all;
}

function raw(text: string, bytes = new Uint8Array()): Uint8Array {
  const head = new Uint8Array(8);
  const json = encodeUtf8(text);
  new DataView(head.buffer).setUint32(0, json.length);
  new DataView(head.buffer).setUint32(4, bytes.length);
  return concatBytes([head, json, bytes]);
}

/** A writer, and the frames that it has written. */
function recorder() {
  const written: Uint8Array[] = [];
  return { written, writer: new SandboxWriter((frame) => void written.push(frame.slice())) };
}

const bytesOf = (...values: number[]) => new Uint8Array(values);
const call = (...chunks: Uint8Array[]): ToSandbox => ({
  type: "call",
  id: 7,
  hook: "content",
  events: chunks.map((chunk) => makeEvent("content", { ...chunkFacts("/ä€😀"), chunk })),
});

Deno.test("messages come out as they went in, wherever the stream is cut", async () => {
  const messages: (ToSandbox | FromSandbox)[] = [
    { type: "ping" },
    call(bytesOf(0, 255, 10), bytesOf(), bytesOf(1)),
    { type: "print", text: "\u0000\n\ud7ff😀" },
    call(),
    { type: "stop" },
  ];
  const bytes = concatBytes(messages.map((one) => encodeSandboxMessages([one])));
  for (let size = 1; size <= 40; size++) assertEquals(await read(bytes, () => size), messages);
  for (let seed = 1; seed < 40; seed++) {
    let state = seed;
    const sizes = () => (state = state * 48271 % 2147483647) % 100;
    assertEquals(await read(bytes, sizes), messages);
  }
});

Deno.test("an empty chunk, the last of each put, is bytes as well", async () => {
  const sent = call(new Uint8Array());
  assertEquals(await read<ToSandbox>(encodeSandboxMessages([sent])), [sent]);
});

Deno.test("large messages, many at once and large after small", async () => {
  const large = new Uint8Array(3 * 1024 * 1024).map((_, index) => index);
  const [back] = await read<ToSandbox>(encodeSandboxMessages([call(large, bytesOf(5))]), () => 50_000);
  assert(back?.type === "call");
  assertEquals(back.events.map((event) => (event as unknown as { chunk: Uint8Array }).chunk), [large, bytesOf(5)]);
  const mixed = Array.from(
    { length: 2000 },
    (_, id): ToSandbox => id % 500 === 499 ? call(large) : { type: "abort", id },
  );
  const all = await read<ToSandbox>(concatBytes(mixed.map((one) => encodeSandboxMessages([one]))));
  assertEquals(all.map(({ type }) => type), mixed.map(({ type }) => type));
});

Deno.test("a stream that ends in mid-message ends there", async () => {
  const bytes = concatBytes([
    encodeSandboxMessages([{ type: "ping" }]),
    encodeSandboxMessages([call(bytesOf(1, 2, 3))]),
  ]);
  for (let length = 0; length < bytes.length; length++) {
    assert((await read(bytes.subarray(0, length))).length <= 1);
  }
});

Deno.test("garbage is refused before anything is set aside for it", async () => {
  const garbage = [
    encodeUtf8("Segmentation fault\n"),
    bytesOf(255, 255, 255, 255, 0, 0, 0, 0),
    bytesOf(0, 0, 0, 0, 255, 255, 255, 255),
    raw("no JSON"),
    raw(""),
    raw("{"),
    new Uint8Array(8),
    concatBytes([raw("{}").subarray(0, 8), bytesOf(0xc3, 0x28)]),
  ];
  for (const bytes of garbage) {
    const outcome = await read(bytes).then(() => "read", String);
    assertMatch(outcome, /TypeError|SyntaxError/);
  }
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, MOST_SAID + 1);
  assertMatch(await read(head, undefined, MOST_SAID).then(() => "read", String), /not a message of a sandbox/);
  assertEquals(await read(head), []);
});

Deno.test("facts that look like bytes stay what they are", async () => {
  const attributes = { $bytes: 2, chunk: 5 };
  const message = (chunk: Uint8Array): ToSandbox => ({
    type: "call",
    id: 1,
    hook: "content",
    events: [{ ...makeEvent("content", { ...chunkFacts(), chunk }), user: { name: "a", attributes } }],
  });
  const call = message(bytesOf(1, 2, 3));
  assertEquals(await read(encodeSandboxMessages([call])), [call]);
  const text = JSON.stringify([{ chunk: { $bytes: -5 }, b: { chunk: { $bytes: 1e308 } } }]);
  assertEquals((await read(raw(text, bytesOf(1, 2)))).length, 1);
});

Deno.test("the writer keeps order, and outlives a reader that is gone", async () => {
  const { writer, written } = recorder();
  const messages = Array.from({ length: 100 }, (_, id): ToSandbox => ({ type: "abort", id }));
  for (const message of messages.slice(0, 50)) writer.send(message);
  await new Promise((resolve) => setTimeout(resolve, 1));
  for (const message of messages.slice(50)) writer.send(message);
  await writer.flushed();
  assertEquals(await read(concatBytes(written)), messages);
  let calls = 0;
  const broken = new SandboxWriter(() => {
    calls++;
    return Promise.reject(new Error("broken pipe"));
  });
  broken.send({ type: "ping" });
  await broken.flushed();
  broken.send({ type: "call", id: 1, hook: "authorize", events: [makeEvent("authorize", asked("/a"))] });
  await broken.flushed();
  assertEquals(calls, 2);
});

Deno.test("what goes together has no more than 256 events or replies, and about a megabyte", async () => {
  const { writer, written } = recorder();
  const events = Array.from({ length: 100 }, (_, index) => makeEvent("authorize", asked(`/${index}`)));
  for (let id = 0; id < 6; id++) writer.send({ type: "call", id, hook: "authorize", events });
  const long = Array.from({ length: 256 }, (_, index) => ({ answer: `/${index}/${"\u0001".repeat(4_000)}` }));
  writer.send({ type: "replies", id: 7, at: 3, replies: long });
  for (let id = 0; id < 300; id++) writer.send({ type: "replies", id, at: 0, replies: [{ answer: id }] });
  await writer.flushed();
  const frames = await Promise.all(written.map((frame) => read<FromSandbox>(frame)));
  const some = frames.map((messages) => messages.map(({ type }) => String(type)).join());
  assertEquals(some.slice(0, 3), ["calls,calls", "calls,calls", "calls,calls"]);
  assert(written.every(({ length }) => length <= 1024 * 1024));
  const replies = frames.flat().filter((message) => message.type === "replies");
  const split = replies.filter(({ id, at }) => id === 7 && at >= 3);
  assertEquals(split.flatMap((message) => message.replies), long);
  assertEquals(split.map(({ at }) => at), split.map((_, index) => 3 + index * 256 / split.length));
  assertEquals(frames.slice(-2).map(({ length }) => length), [256, 44]);
});

Deno.test("one reply larger than what goes together goes all the same, by itself", async () => {
  const { writer, written } = recorder();
  const replies = ["a", "b".repeat(3_000_000), "c"].map((answer) => ({ answer }));
  writer.send({ type: "replies", id: 1, at: 0, replies });
  await writer.flushed();
  const messages = await read<FromSandbox>(concatBytes(written));
  assertEquals(messages.flatMap((message) => message.type === "replies" ? message.replies : []), replies);
});

Deno.test("what can't be told is replaced by itself: what goes with it arrives", async () => {
  const { writer, written } = recorder();
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const odd = {
    toJSON: () => {
      throw Object.create(null);
    },
  };
  const replies = [1, 5n, 2, circle, odd, 3].map((answer) => ({ answer }));
  const fields = { n: 5n as unknown as number };
  writer.send({ type: "log", level: "info", message: "before", fields });
  writer.send({ type: "replies", id: 1, at: 4, replies });
  writer.send({ type: "pong" });
  await writer.flushed();
  const messages = await read<FromSandbox>(concatBytes(written));
  assertMatch(JSON.stringify(messages[0]), /"before \(its fields can't be told: TypeError.*BigInt/);
  const told: unknown[] = [];
  for (const message of messages) {
    if (message.type === "replies") {
      for (const [nth, reply] of message.replies.entries()) told[message.at + nth] = reply;
    }
  }
  assertEquals(told.slice(4).map((reply) => "failure" in (reply as Reply) ? "failure" : reply), [
    { answer: 1 },
    "failure",
    { answer: 2 },
    "failure",
    "failure",
    { answer: 3 },
  ]);
  assertEquals(messages.at(-1), { type: "pong" });
});
