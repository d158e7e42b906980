import { assert, assertEquals, assertMatch } from "@std/assert";
import { concatBytes, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { makeEvent } from "../../../lib/hooks/host.ts";
import {
  encodeSandboxMessages,
  type FromSandbox,
  MOST_SAID,
  sandboxMessages,
  SandboxWriter,
  type ToSandbox,
} from "../../../lib/hooks/sandbox_message.ts";
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

Deno.test("the writer keeps order, writes what it can take, and outlives a reader that is gone", async () => {
  const written: Uint8Array[] = [];
  const writer = new SandboxWriter((bytes) => {
    written.push(bytes.slice(0, 5));
    return Promise.resolve(Math.min(5, bytes.length));
  });
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
