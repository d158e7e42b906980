import { assert, assertEquals } from "@std/assert";
import { decodeMessage, encodeMessage } from "../../../lib/wire/codec.ts";
import { FIELDS } from "../../../lib/wire/field.ts";
import { type FrameName, frameRow, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { holdsSecret, markedSpans } from "../../../lib/wire/layout.ts";
import { FRAME_NAMES, validFrame } from "../../support/frame_values.ts";
import { Random } from "../../support/random.ts";

const layouts = (name: FrameName) => Object.values(frameRow(name).fields ?? {}).map((field) => FIELDS[field].layout);
const messages = FRAME_NAMES.filter((name) => frameRow(name).fields !== null);

Deno.test("layouts end where the codec's fields end, for every frame, and nowhere before", () => {
  const random = new Random(11);
  for (const name of messages) {
    for (let round = 0; round < 30; round++) {
      const payload = validFrame(name, random, 1).subarray(HEADER_BYTES);
      assert(markedSpans(payload, layouts(name)), name);
      assertEquals(markedSpans(payload.subarray(0, random.below(payload.length)), layouts(name)), null, name);
      assertEquals(markedSpans(new Uint8Array([...payload, 0]), layouts(name)), null, name);
    }
  }
});

Deno.test("what the codec can read, the layouts can", () => {
  const random = new Random(12);
  let read = 0;
  for (let round = 0; round < 3000; round++) {
    const name = random.pick(messages);
    const payload = validFrame(name, random, 1).slice(HEADER_BYTES);
    if (payload.length > 0) payload[random.below(Math.min(payload.length, 64))] = random.below(256);
    try {
      decodeMessage({ name, fin: false, stream: 1, crc: undefined, payload });
    } catch {
      continue;
    }
    read++;
    assert(markedSpans(payload, layouts(name)), name);
  }
  assert(read > 500, `only ${read} could be read`);
});

Deno.test("spans are the bytes of secrets and contents", () => {
  const data = new TextEncoder().encode("the secret");
  assertEquals(spansOf("AUTH", encodeMessage("AUTH", 0, { method: "token", user: "an", data })), ["secret the secret"]);
  const file = { path: "/a", code: 0, size: 7, modified: 0, mode: 0, digest: new Uint8Array(4) };
  const content = new TextEncoder().encode("content");
  const files = [{ ...file, content }, { ...file, content: new Uint8Array() }];
  assertEquals(spansOf("FILES", encodeMessage("FILES", 1, { files })), ["content content"]);
});

function spansOf(name: FrameName, frame: Uint8Array): string[] {
  const payload = frame.subarray(HEADER_BYTES);
  return (markedSpans(payload, layouts(name)) ?? []).map(({ start, end, holds }) =>
    `${holds} ${new TextDecoder().decode(payload.subarray(start, end))}`
  );
}

Deno.test("only what proves who somebody is counts as a secret", () => {
  const secretive = messages.filter((name) => layouts(name).some(holdsSecret));
  assertEquals(secretive, ["AUTH", "CHALLENGE"]);
});
