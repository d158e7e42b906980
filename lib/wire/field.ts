import { decodeUtf8, utf8Length } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { MAX_PATH_BYTES } from "../base/virtual_path.ts";
import type { BlockLayout, Layout } from "./layout.ts";

/** What a listing or INFO says of one file system object. */
export interface Entry {
  /** One component, or in a recursive listing the path relative to the listed folder. */
  readonly name: string;
  readonly type: EntryType;
  /** Bytes; 0 for anything but a regular file. */
  readonly size: number;
  /** Milliseconds since 1970-01-01T00:00Z, null where the file system does not say. */
  readonly modified: number | null;
  /** Permission bits (0o7777), null where the platform has none. */
  readonly mode: number | null;
}

/** Place is code: the index is what goes on the wire. */
export const ENTRY_TYPES = ["file", "directory", "symlink", "other"] as const;
export type EntryType = typeof ENTRY_TYPES[number];

/** Largest integer that a u64 or i64 field may carry: what a JavaScript number holds exactly. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

const encoder = new TextEncoder();

/** Appends fields to a growing buffer. */
export class FieldWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length: number;

  /** Begins at `start`, leaving room before it. */
  constructor(start = 0) {
    this.#length = start;
  }

  get length(): number {
    return this.#length;
  }

  /** Everything from 0 on, the room at the start included. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room for so many bytes more, so that it need not grow step by step. */
  reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  #grow(by: number): number {
    const at = this.#length;
    this.reserve(by);
    this.#length += by;
    return at;
  }

  unsigned(value: number, bytes: 1 | 2 | 4): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes)) throw outOfRange(value, `u${8 * bytes}`);
    const at = this.#grow(bytes);
    if (bytes === 1) this.#view.setUint8(at, value);
    else if (bytes === 2) this.#view.setUint16(at, value);
    else this.#view.setUint32(at, value);
  }

  u64(value: number | bigint): void {
    if (typeof value === "number" && !(Number.isSafeInteger(value) && value >= 0)) throw outOfRange(value, "u64");
    const at = this.#grow(8);
    if (typeof value === "bigint") this.#view.setBigUint64(at, value);
    else this.#halves(at, value);
  }

  i64(value: number | bigint): void {
    if (typeof value === "number" && !Number.isSafeInteger(value)) throw outOfRange(value, "i64");
    const at = this.#grow(8);
    if (typeof value === "bigint") this.#view.setBigInt64(at, value);
    else this.#halves(at, value);
  }

  /** 64 bits of a safe integer, without an object for it as BigInt is: long listings are mostly such numbers. */
  #halves(at: number, value: number): void {
    this.#view.setInt32(at, Math.floor(value / 2 ** 32));
    this.#view.setUint32(at + 4, value % 2 ** 32);
  }

  /** u16 length and that many bytes. */
  block(value: Uint8Array, max: number): void {
    if (value.length > max) throw outOfRange(value.length, `length up to ${max}`);
    this.unsigned(value.length, 2);
    this.raw(value);
  }

  /** u16 length and the text as UTF-8. */
  text(value: string, max: number): void {
    this.reserve(2 + 3 * value.length);
    const at = this.#length;
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(at + 2));
    if (written > max) throw outOfRange(written, `length up to ${max}`);
    this.#view.setUint16(at, written);
    this.#length = at + 2 + written;
  }

  /** u32 length and that many bytes. */
  longBlock(value: Uint8Array): void {
    this.unsigned(value.length, 4);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }
}

/** Takes fields from a payload; never reads beyond it and never allocates what a length merely claims. */
export class FieldReader {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Copies what is left, once, so that views into it stay good when the receive buffer is used again. */
  own(): void {
    this.#bytes = this.#bytes.slice(this.#at);
    this.#view = new DataView(this.#bytes.buffer);
    this.#at = 0;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  #take(bytes: number): number {
    if (bytes > this.left) throw new FshError("SHORT_FRAME");
    const at = this.#at;
    this.#at += bytes;
    return at;
  }

  unsigned(bytes: 1 | 2 | 4): number {
    const at = this.#take(bytes);
    if (bytes === 1) return this.#view.getUint8(at);
    if (bytes === 2) return this.#view.getUint16(at);
    return this.#view.getUint32(at);
  }

  /** As two halves, which cost less than a bigint: the upper one, and the lower one. */
  u64(): readonly [number, number] {
    const at = this.#take(8);
    return [this.#view.getUint32(at), this.#view.getUint32(at + 4)];
  }

  i64(): readonly [number, number] {
    const at = this.#take(8);
    return [this.#view.getInt32(at), this.#view.getUint32(at + 4)];
  }

  /** A view, not a copy. */
  block(max: number): Uint8Array {
    const length = this.unsigned(2);
    if (length > max) throw outOfRange(length, `length up to ${max}`);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** As `block`, with a u32 length. */
  longBlock(): Uint8Array {
    const length = this.unsigned(4);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
}

function outOfRange(value: number | bigint, type: string): FshError {
  return new FshError("BAD_FIELD", { detail: `${value} is not a ${type}` });
}

function toNumber([upper, lower]: readonly [number, number], type: string): number {
  const value = upper * 2 ** 32 + lower;
  if (!Number.isSafeInteger(value)) throw outOfRange(value, type);
  return value;
}

/** How one kind of field is written and read, and the most bytes that it takes. */
export interface FieldType<T> {
  readonly max: number;
  /** As PROTOCOL.md describes it. */
  readonly doc: string;
  /** How it lies on the wire, for whoever reads it without this program. */
  readonly layout: Layout;
  write(writer: FieldWriter, value: T): void;
  read(reader: FieldReader): T;
}

function unsigned(bytes: 1 | 2 | 4): FieldType<number> {
  return {
    max: bytes,
    doc: `u${bytes * 8}`,
    layout: { kind: "number", bytes },
    write: (writer, value) => writer.unsigned(value, bytes),
    read: (reader) => reader.unsigned(bytes),
  };
}

/** Longer texts are quicker decoded as a whole. */
const SHORT = 48;

/** A short text of ASCII, character by character, as the decoder takes a microsecond for any; null for others. */
function shortAscii(bytes: Uint8Array): string | null {
  if (bytes.length > SHORT) return null;
  let text = "";
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i] as number;
    if (code >= 0x80) return null;
    text += String.fromCharCode(code);
  }
  return text;
}

function text(max: number): FieldType<string> {
  return {
    max: 2 + max,
    doc: `u16 length, up to ${max} bytes of UTF-8`,
    layout: { kind: "text", most: max },
    write(writer, value) {
      if (!value.isWellFormed()) throw new FshError("BAD_UTF8", { detail: "a lone surrogate" });
      writer.text(value, max);
    },
    read(reader) {
      const bytes = reader.block(max);
      try {
        return shortAscii(bytes) ?? decodeUtf8(bytes);
      } catch (cause) {
        throw new FshError("BAD_UTF8", { cause });
      }
    },
  };
}

function texts(count: number, max: number): FieldType<readonly string[]> {
  const item = text(max);
  return {
    max: 1 + count * item.max,
    doc: `u8 count up to ${count}, then each: ${item.doc}`,
    layout: { kind: "list", count: 1, most: count, item: item.layout },
    write(writer, value) {
      if (value.length > count) throw outOfRange(value.length, `count up to ${count}`);
      writer.unsigned(value.length, 1);
      for (const one of value) item.write(writer, one);
    },
    read(reader) {
      const length = reader.unsigned(1);
      if (length > count) throw outOfRange(length, `count up to ${count}`);
      const value: string[] = [];
      for (let i = 0; i < length; i++) value.push(item.read(reader));
      return value;
    },
  };
}

const NO_SIZE = 2n ** 64n - 1n;
const NO_TIME = -(2n ** 63n);
const NO_MODE = 2 ** 32 - 1;

const u64: FieldType<number> = {
  max: 8,
  doc: "u64, up to 2^53 - 1",
  layout: { kind: "number", bytes: 8, most: MAX_INTEGER },
  write: (writer, value) => writer.u64(value),
  read: (reader) => toNumber(reader.u64(), "u64 up to 2^53 - 1"),
};

const size: FieldType<number | null> = {
  max: 8,
  doc: "u64, up to 2^53 - 1; all ones: not known, or to the end",
  layout: { kind: "number", bytes: 8, most: MAX_INTEGER, none: true },
  write: (writer, value) => writer.u64(value ?? NO_SIZE),
  read(reader) {
    const value = reader.u64();
    const none = value[0] === 2 ** 32 - 1 && value[1] === 2 ** 32 - 1;
    return none ? null : toNumber(value, "u64 up to 2^53 - 1");
  },
};

const time: FieldType<number | null> = {
  max: 8,
  doc: "i64, milliseconds since 1970-01-01T00:00Z; the smallest i64: not known",
  layout: { kind: "number", bytes: 8, signed: true, most: MAX_INTEGER, none: true, as: "time" },
  write: (writer, value) => writer.i64(value === null ? NO_TIME : Math.round(value)),
  read(reader) {
    const value = reader.i64();
    return value[0] === -(2 ** 31) && value[1] === 0 ? null : toNumber(value, "i64 of 53 bits");
  },
};

const mode: FieldType<number | null> = {
  max: 4,
  doc: "u32, permission bits 0o7777, of which 0o777 are taken over; all ones: not known",
  layout: { kind: "number", bytes: 4, most: 0o7777, none: true, as: "octal" },
  write: (writer, value) => writer.unsigned(value === null ? NO_MODE : value & 0o7777, 4),
  read(reader) {
    const value = reader.unsigned(4);
    if (value === NO_MODE) return null;
    if (value > 0o7777) throw outOfRange(value, "mode");
    return value;
  },
};

const entryType: FieldType<EntryType> = {
  max: 1,
  doc: `u8: ${ENTRY_TYPES.map((name, code) => `${code} ${name}`).join(", ")}`,
  layout: { kind: "number", bytes: 1, most: ENTRY_TYPES.length - 1, names: ENTRY_TYPES },
  write: (writer, value) => writer.unsigned(ENTRY_TYPES.indexOf(value), 1),
  read(reader) {
    const code = reader.unsigned(1);
    const value = ENTRY_TYPES[code];
    if (value === undefined) throw outOfRange(code, "entry type");
    return value;
  },
};

/** A code of the errors table, or 0. */
const errorCode: FieldType<number> = {
  ...unsigned(2),
  doc: "u16, a code of the errors table or 0",
  layout: { kind: "number", bytes: 2, names: "errors" },
};

const path = text(MAX_PATH_BYTES);
const shortText = text(256);

/** Most entries of one ENTRIES frame. */
export const MAX_PAGE = 1024;
/** Most files of one GETS, FILES or STORED frame. */
export const MAX_FILES = 256;

/** u16 count and that many items; `max` bytes in all. */
function list<T>(
  bounds: { count: number; max: number },
  item: Omit<FieldType<T>, "max">,
): FieldType<readonly T[]> {
  const { count, max } = bounds;
  return {
    max,
    doc: `u16 count up to ${count}, then each: ${item.doc}`,
    layout: { kind: "list", count: 2, most: count, item: item.layout },
    write(writer, value) {
      if (value.length > count) throw outOfRange(value.length, `count up to ${count}`);
      writer.unsigned(value.length, 2);
      for (const one of value) item.write(writer, one);
    },
    read(reader) {
      const length = reader.unsigned(2);
      if (length > count) throw outOfRange(length, `count up to ${count}`);
      const value: T[] = [];
      for (let i = 0; i < length; i++) value.push(item.read(reader));
      return value;
    },
  };
}

const entries = list<Entry>({ count: MAX_PAGE, max: 120 * 1024 }, {
  doc: `name (text up to ${MAX_PATH_BYTES}), type, u64 size, time, mode`,
  layout: {
    kind: "record",
    fields: {
      name: path.layout,
      type: entryType.layout,
      size: u64.layout,
      modified: time.layout,
      mode: mode.layout,
    },
  },
  write(writer, entry) {
    path.write(writer, entry.name);
    entryType.write(writer, entry.type);
    u64.write(writer, entry.size);
    time.write(writer, entry.modified);
    mode.write(writer, entry.mode);
  },
  read: (reader) => ({
    name: path.read(reader),
    type: entryType.read(reader),
    size: u64.read(reader),
    modified: time.read(reader),
    mode: mode.read(reader),
  }),
});

/** A whole small file on the wire. */
export interface PackedFile {
  readonly path: string;
  /** Why there is no such file to be had, a code of the errors table; 0: here it is. */
  readonly code: number;
  readonly size: number;
  readonly modified: number | null;
  readonly mode: number | null;
  readonly digest: Uint8Array;
  /** All `size` bytes, or none where the file is too large to come so. */
  readonly content: Uint8Array;
}

/** Bytes that one file takes in a FILES frame, its path and content aside. */
export const PACKED_OVERHEAD = 2 + 2 + 8 + 8 + 4 + 2 + 64 + 4;

const packedFile: Omit<FieldType<PackedFile>, "max"> = {
  doc:
    `path (text up to ${MAX_PATH_BYTES}), u16 code of the errors table or 0, u64 size, time, mode, digest (u16 length, up to 64 bytes), content (u32 length: \`size\` or 0)`,
  layout: {
    kind: "record",
    fields: {
      path: path.layout,
      code: errorCode.layout,
      size: u64.layout,
      modified: time.layout,
      mode: mode.layout,
      digest: { kind: "block", length: 2, most: 64 },
      content: { kind: "block", length: 4, most: 2 ** 32 - 1, holds: "content", sizedBy: "size" },
    },
  },
  write(writer, file) {
    path.write(writer, file.path);
    writer.unsigned(file.code, 2);
    u64.write(writer, file.size);
    time.write(writer, file.modified);
    mode.write(writer, file.mode);
    writer.block(file.digest, 64);
    writer.longBlock(file.content);
  },
  read(reader) {
    const file = {
      path: path.read(reader),
      code: reader.unsigned(2),
      size: u64.read(reader),
      modified: time.read(reader),
      mode: mode.read(reader),
      digest: reader.block(64),
      content: reader.longBlock(),
    };
    if (file.content.length !== 0 && file.content.length !== file.size) {
      throw outOfRange(file.content.length, `content of ${file.size} bytes`);
    }
    return file;
  },
};

const packedFiles = list({ count: MAX_FILES, max: 1024 * 1024 }, packedFile);
const files: FieldType<readonly PackedFile[]> = {
  ...packedFiles,
  write(writer, value) {
    const most = (sum: number, { path, content }: PackedFile) =>
      sum + content.length + 3 * path.length + PACKED_OVERHEAD;
    writer.reserve(value.reduce(most, 2));
    packedFiles.write(writer, value);
  },
  read(reader) {
    reader.own();
    return packedFiles.read(reader);
  },
};

/** What became of one file of a FILES frame. */
export interface Outcome {
  /** 0: it is in place, durable as it is set to be; else a code of the errors table. */
  readonly code: number;
  readonly detail: string;
}

const outcomes = list<Outcome>({ count: MAX_FILES, max: 2 + MAX_FILES * (2 + 2 + 256) }, {
  doc: "u16 code of the errors table or 0, detail (text up to 256)",
  layout: { kind: "record", fields: { code: errorCode.layout, detail: shortText.layout } },
  write(writer, { code, detail }) {
    writer.unsigned(code, 2);
    shortText.write(writer, detail);
  },
  read: (reader) => ({ code: reader.unsigned(2), detail: shortText.read(reader) }),
});

/** Bytes that one entry takes in an ENTRIES frame. */
export function entryBytes(entry: Entry): number {
  return 2 + utf8Length(entry.name) + 1 + 8 + 8 + 4;
}

const block: BlockLayout = { kind: "block", length: 2, most: 4096 };

const bytes: FieldType<Uint8Array> = {
  max: 2 + 4096,
  doc: "u16 length, up to 4096 bytes",
  layout: block,
  write: (writer, value) => writer.block(value, 4096),
  read: (reader) => reader.block(4096).slice(),
};

/** What proves who somebody is: traces and captures have zeros in its place, in every mode. */
const secret: FieldType<Uint8Array> = {
  ...bytes,
  doc: "u16 length, up to 4096 bytes, of which traces show nothing",
  layout: { ...block, holds: "secret" },
};

/** Every kind of field that a frame may have. */
export const FIELDS = {
  u8: unsigned(1),
  u16: unsigned(2),
  u32: unsigned(4),
  errorCode,
  u64,
  size,
  time,
  mode,
  /** A name of a method, an algorithm or a program. */
  word: text(64),
  /** A sentence for people. */
  sentence: text(1024),
  path,
  words: texts(32, 64),
  bytes,
  secret,
  entryType,
  entries,
  paths: list<string>({ count: MAX_FILES, max: 127 * 1024 }, path),
  files,
  outcomes,
} as const;

export type FieldName = keyof typeof FIELDS;
/** The TypeScript type of a kind of field. */
export type FieldValue<N extends FieldName> = (typeof FIELDS)[N] extends FieldType<infer T> ? T : never;
