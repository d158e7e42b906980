import { assertEquals } from "@std/assert";
import { Flow, type SeenFrame } from "../../../lib/trace/flow.ts";
import { encodeMessage, readHeader } from "../../../lib/wire/codec.ts";
import { frameName, FRAMES, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { PREFACE } from "../../../lib/wire/preface.ts";
import { FRAME_NAMES, validFrame } from "../../support/frame_values.ts";
import { Random } from "../../support/random.ts";
import { joined, rawFrame } from "../../support/raw_frame.ts";
import { bytesOf } from "../../support/stored_files.ts";

/** All that a flow says of the pieces. */
function follow(pieces: readonly (Uint8Array | number)[], options: { content?: number; held?: number } = {}) {
  const { content = 0, held = 1024 * 1024 } = options;
  const shared = { left: held };
  const shown: Uint8Array[] = [];
  const frames: SeenFrame[] = [];
  let stray = 0;
  const flow = new Flow({
    bytes: (bytes) => shown.push(typeof bytes === "number" ? new Uint8Array(bytes) : bytes.slice()),
    frame: (frame) => frames.push({ ...frame, kept: frame.kept.slice() }),
    stray: (bytes) => stray += bytes,
  }, { content, held: shared });
  for (const piece of pieces) typeof piece === "number" ? flow.takeUnseen(piece) : flow.take(piece);
  flow.end();
  return { shown: joined(...shown), frames, stray, free: shared.left };
}

const named = (frames: readonly SeenFrame[]) => frames.map(({ header }) => frameName(readHeader(header, 0).type));

Deno.test("frames are the same however they are cut into pieces, and all bytes are shown", () => {
  const random = new Random(21);
  const bytes = joined(PREFACE, ...FRAME_NAMES.map((name) => validFrame(name, random, 1)));
  const whole = follow([bytes], { content: 20 });
  assertEquals(named(whole.frames), FRAME_NAMES);
  assertEquals(whole.shown.length, bytes.length);
  for (let round = 0; round < 20; round++) {
    const most = random.pick([1, 2, 17, 1000, 5000]);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + random.below(most);
      // What is handed over is used again for what comes next.
      pieces.push(bytes.slice(at, end));
      at = end;
    }
    assertEquals(follow(pieces, { content: 20 }), whole);
  }
});

Deno.test("content goes by unseen, or as far as it is wanted", () => {
  const data = rawFrame({ type: FRAMES.DATA.code, stream: 1, payload: bytesOf("content") });
  for (const [content, text] of [[0, ""], [4, "cont"], [Infinity, "content"]] as const) {
    const { frames, shown } = follow([PREFACE, data], { content });
    assertEquals(frames.map(({ kept }) => new TextDecoder().decode(kept)), [text]);
    assertEquals(frames[0]?.elided, text !== "content");
    const zeros = "\0".repeat(7 - text.length);
    assertEquals(new TextDecoder().decode(shown.subarray(PREFACE.length + HEADER_BYTES)), text + zeros);
  }
  const unseen = follow([PREFACE, data.subarray(0, HEADER_BYTES), 3, 4, encodeMessage("PING", 0, { nonce: 1 })]);
  assertEquals(named(unseen.frames), ["DATA", "PING"]);
  assertEquals([unseen.frames[0]?.arrived, unseen.shown.length], [7, PREFACE.length + HEADER_BYTES + 7 + 24]);
});

Deno.test("what is no FSH/1 is counted and never shown", () => {
  const request = bytesOf("GET / HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n");
  for (const pieces of [[request], [request.subarray(0, 2), request.subarray(2)]]) {
    const { shown, frames, stray } = follow(pieces, { content: Infinity });
    assertEquals([shown, frames, stray], [new Uint8Array(request.length), [], request.length]);
  }
  const unknown = rawFrame({ type: 0xfe, payload: bytesOf("secret") });
  const { shown, frames, stray } = follow([PREFACE, unknown, bytesOf("more")], { content: Infinity });
  assertEquals([frames.length, frames[0]?.malformed, stray], [1, true, 10]);
  assertEquals(shown.subarray(PREFACE.length + HEADER_BYTES), new Uint8Array(10));
  const long = rawFrame({ type: FRAMES.AUTH.code, length: 2 ** 31, payload: bytesOf("secret") });
  assertEquals(follow([PREFACE, long]).stray, 6);
});

Deno.test("a frame that is cut off says how far it came, and shows nothing of a message", () => {
  const auth = encodeMessage("AUTH", 0, { method: "token", user: "", data: bytesOf("secret") });
  for (let end = 1; end < auth.length; end++) {
    const { shown, frames, stray, free } = follow([PREFACE, auth.subarray(0, end)], { content: Infinity });
    assertEquals(shown.length, PREFACE.length + end);
    assertEquals(frames.map(({ arrived }) => arrived), end < HEADER_BYTES ? [] : [end - HEADER_BYTES]);
    assertEquals(stray, end < HEADER_BYTES ? end : 0);
    assertEquals(shown.subarray(PREFACE.length + HEADER_BYTES).some((byte) => byte !== 0), false);
    assertEquals(free, 1024 * 1024);
  }
});

Deno.test("what is held for messages on their way has a bound; beyond it only their headers are kept", () => {
  const list = encodeMessage("STAT", 1, { path: `/${"x".repeat(1000)}` }, true);
  const pieces = [PREFACE, list.subarray(0, 500), list.subarray(500)];
  const { frames, shown, free } = follow(pieces, { held: 100 });
  assertEquals([named(frames), frames[0]?.arrived, frames[0]?.kept.length], [["STAT"], list.length - HEADER_BYTES, 0]);
  assertEquals([shown.length, free], [PREFACE.length + list.length, 100]);
  assertEquals(follow(pieces, { held: 2000 }).frames[0]?.kept.length, list.length - HEADER_BYTES);
});
