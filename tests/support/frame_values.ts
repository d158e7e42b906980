import { encodeMessage, sealFrame } from "../../lib/wire/codec.ts";
import { ENTRY_TYPES, type FieldName, type FieldValue, MAX_INTEGER } from "../../lib/wire/field.ts";
import { type FrameName, frameRow, FRAMES, HEADER_BYTES } from "../../lib/wire/frames.ts";
import type { Random } from "./random.ts";

export const FRAME_NAMES = Object.keys(FRAMES) as FrameName[];

const TEXTS = [
  "",
  "a",
  "/",
  "/a/b",
  "anonymous",
  "Báo cáo quý.txt",
  "e\u0302\u0301",
  "😀",
  "a\nb",
  "\ufeff",
  "-rf",
  "..",
  "\0",
];

const unsigned = (limit: number) => (random: Random) => random.pick([0, 1, limit - 1, random.below(limit)]);
const text = (max: number) => (random: Random) =>
  random.chance(2) ? "x".repeat(random.pick([max, max - 1])) : random.pick(TEXTS);
const integer = (random: Random) => random.pick([0, 1, 4096, 2 ** 32, MAX_INTEGER, random.next()]);
const bytes = (random: Random) => random.bytes(random.chance(2) ? 4096 : random.below(40));

/** A generator for every kind of field; a new kind without one does not compile. */
const VALUES: { readonly [N in FieldName]: (random: Random) => FieldValue<N> } = {
  u8: unsigned(256),
  u16: unsigned(65536),
  u32: unsigned(2 ** 32),
  errorCode: unsigned(65536),
  u64: integer,
  size: (random) => random.chance(20) ? null : integer(random),
  time: (random) => random.pick([null, 0, -1, 1_700_000_000_000, MAX_INTEGER, -MAX_INTEGER]),
  mode: (random) => random.chance(20) ? null : random.below(0o10000),
  word: text(64),
  sentence: text(1024),
  path: text(4096),
  words: (random) => Array.from({ length: random.pick([0, 1, 3, 32]) }, () => text(64)(random)),
  bytes,
  secret: bytes,
  entryType: (random) => random.pick(ENTRY_TYPES),
  entries: (random) =>
    Array.from({ length: random.pick([0, 1, 2, 5]) }, () => ({
      name: text(4096)(random),
      type: random.pick(ENTRY_TYPES),
      size: integer(random),
      modified: VALUES.time(random),
      mode: VALUES.mode(random),
    })),
  paths: (random) => Array.from({ length: random.pick([0, 1, 2, 5]) }, () => text(4096)(random)),
  files: (random) =>
    Array.from({ length: random.pick([0, 1, 2, 5]) }, () => {
      const content = random.bytes(random.below(100));
      return {
        path: text(4096)(random),
        code: random.pick([0, 100]),
        size: content.length || integer(random),
        modified: VALUES.time(random),
        mode: VALUES.mode(random),
        digest: random.bytes(random.pick([0, 4, 32, 64])),
        content,
      };
    }),
  outcomes: (random) =>
    Array.from(
      { length: random.pick([0, 1, 2, 5]) },
      () => ({ code: random.pick([0, 100]), detail: text(256)(random) }),
    ),
};

/** Values for all fields of a frame, as its row of the FRAMES table lists them. */
export function frameValues(name: FrameName, random: Random): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [field, type] of Object.entries(frameRow(name).fields ?? {})) values[field] = VALUES[type](random);
  return values;
}

/** A valid frame of any name, DATA included. */
export function validFrame(name: FrameName, random: Random, stream: number): Uint8Array<ArrayBuffer> {
  const row = frameRow(name);
  const fin = row.fin === true && (row.on === "opens" || random.chance(50));
  if (row.fields !== null) return encodeMessage(name, stream, frameValues(name, random), fin);
  const frame = new Uint8Array(HEADER_BYTES + random.below(64));
  frame.set(random.bytes(frame.length - HEADER_BYTES), HEADER_BYTES);
  sealFrame(frame, name, stream);
  return frame;
}
