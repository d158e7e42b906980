import { assert, assertEquals } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { mask } from "../../../lib/trace/mask.ts";
import { decodeMessage, encodeMessage } from "../../../lib/wire/codec.ts";
import { FIELDS } from "../../../lib/wire/field.ts";
import { FLAG_ZSTD, type FrameFields, type FrameName, frameRow, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { holdsSecret } from "../../../lib/wire/layout.ts";
import { FRAME_NAMES, frameValues } from "../../support/frame_values.ts";
import { Random } from "../../support/random.ts";
import { bytesOf, pattern } from "../../support/stored_files.ts";

/** A byte that no other field of the frames below has. */
const SECRET = 0xee;

/** Frames that have a secret, and their payloads with one. */
function secretive(): [FrameName, Uint8Array][] {
  const random = new Random(5);
  const found: [FrameName, Uint8Array][] = [];
  for (const name of FRAME_NAMES) {
    const fields = Object.entries(frameRow(name).fields ?? {});
    const secrets = fields.filter(([, type]) => holdsSecret(FIELDS[type].layout));
    if (secrets.length === 0) continue;
    const values = frameValues(name, random);
    for (const [field, type] of fields) if (type === "sentence" || type === "word") values[field] = "plain";
    for (const [field] of secrets) values[field] = new Uint8Array(33).fill(SECRET);
    // The names are those of the frame's row.
    found.push([name, encodeMessage(name, 0, values as FrameFields<typeof name>).slice(HEADER_BYTES)]);
  }
  return found;
}

Deno.test("a secret is in no mode shown or kept, and keeps its length", () => {
  assertEquals(secretive().map(([name]) => name), ["AUTH", "CHALLENGE"]);
  for (const [name, payload] of secretive()) {
    assert(payload.includes(SECRET));
    for (const content of [0, 64, Infinity]) {
      const { shown, kept, malformed } = mask({ name, flags: 0, payload }, content);
      assertEquals([shown.includes(SECRET), kept.includes(SECRET), malformed], [false, false, false], name);
      assertEquals([shown.length, kept.length], [payload.length, payload.length]);
    }
  }
});

Deno.test("of a frame that may hold a secret nothing is shown where its fields can't be told from each other", () => {
  for (const [name, payload] of secretive()) {
    const damaged = [
      ...Array.from({ length: payload.length - 1 }, (_, at) => payload.subarray(0, at + 1)),
      new Uint8Array([...payload, SECRET]),
      new Uint8Array([0xff, ...payload]),
    ];
    for (const payload of damaged) {
      for (const flags of [0, FLAG_ZSTD]) {
        const { shown, kept, malformed } = mask({ name, flags, payload }, Infinity);
        assertEquals([shown.every((byte) => byte === 0), kept.length, malformed], [true, 0, true], name);
        assertEquals(shown.length, payload.length);
      }
    }
    // A flag that the frame can't have: what is in there is not what it looks like.
    const packed = zstdCompressSync(payload);
    assertEquals(mask({ name, flags: FLAG_ZSTD, payload: packed }, Infinity).malformed, true);
  }
});

function filesPayload(...contents: Uint8Array[]): Uint8Array {
  const files = contents.map((content, number) => ({
    path: `/${number}`,
    code: 0,
    size: content.length,
    modified: null,
    mode: 0o644,
    digest: bytesOf("sum"),
    content,
  }));
  return encodeMessage("FILES", 1, { files }).slice(HEADER_BYTES);
}

function keptFiles(kept: Uint8Array): { path: string; size: number; content: number }[] {
  const { fields } = decodeMessage({ name: "FILES", fin: false, stream: 1, crc: undefined, payload: kept });
  if (!("files" in fields)) throw new Error("no files");
  return fields.files.map(({ path, size, content }) => ({ path, size, content: content.length }));
}

Deno.test("content of files is left out unless it is wanted, and as much of it as is wanted stays", () => {
  const payload = filesPayload(pattern(100), pattern(50), new Uint8Array());
  const none = mask({ name: "FILES", flags: 0, payload }, 0);
  assertEquals(keptFiles(none.kept).map(({ size, content }) => [size, content]), [[100, 0], [50, 0], [0, 0]]);
  assertEquals([none.elided, none.shown.length], [true, payload.length]);
  assertEquals(
    mask(
      { name: "FILES", flags: 0, payload: filesPayload(new Uint8Array(100), new Uint8Array(50), new Uint8Array()) },
      Infinity,
    ).shown,
    none.shown,
  );
  const some = mask({ name: "FILES", flags: 0, payload }, 60);
  assertEquals(keptFiles(some.kept).map(({ content }) => content), [0, 50, 0]);
  const all = mask({ name: "FILES", flags: 0, payload }, Infinity);
  assertEquals([all.elided, all.shown, all.kept], [false, payload, payload]);
});

Deno.test("a compressed frame is kept unpacked, and shown as it was or not at all", () => {
  const plain = filesPayload(pattern(5000));
  const payload = zstdCompressSync(plain);
  const none = mask({ name: "FILES", flags: FLAG_ZSTD, payload }, 0);
  assertEquals(keptFiles(none.kept), [{ path: "/0", size: 5000, content: 0 }]);
  assert(none.shown.every((byte) => byte === 0));
  const all = mask({ name: "FILES", flags: FLAG_ZSTD, payload }, Infinity);
  assertEquals([all.kept, all.shown.length], [plain, payload.length]);
  const damaged = payload.subarray(1);
  const broken = mask({ name: "FILES", flags: FLAG_ZSTD, payload: damaged }, damaged.length - 1);
  assertEquals([broken.malformed, broken.kept.length], [true, 0]);
  assertEquals(mask({ name: "FILES", flags: FLAG_ZSTD, payload: damaged }, Infinity).shown, damaged);
});
