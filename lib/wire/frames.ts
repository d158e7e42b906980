import type { FieldName, FieldValue } from "./field.ts";

export type Role = "client" | "server";
export type Phase = "hello" | "auth" | "ready" | "draining" | "closed";

/** Bytes of a frame's header: u32 length, u8 type, u8 flags, u16 zero, u32 stream, u32 CRC-32 of the payload. */
export const HEADER_BYTES = 16;
/** Largest payload of a DATA frame, in bytes. */
export const MAX_DATA = 1024 * 1024;

/** Set on the last frame that a side sends on a stream. */
export const FLAG_FIN = 0x01;
/** The payload is not covered by the header's CRC-32, which is 0: it went from the disk to the network without a look. */
export const FLAG_UNCHECKED = 0x02;
/** The payload is a zstd frame (RFC 8878). */
export const FLAG_ZSTD = 0x04;

interface FrameRow {
  readonly code: number;
  /** Who may send it. */
  readonly sender: Role | "both";
  /** When it may arrive. */
  readonly phases: readonly Phase[];
  /** `session`: stream 0; `opens`: a new stream; `stream`: one that is open; `any`: 0 or one that is open. */
  readonly on: "session" | "opens" | "stream" | "any";
  /** Largest payload in bytes; checked before anything is allocated. */
  readonly max: number;
  /** Whether its payload counts against the stream's window. */
  readonly metered?: true;
  /** Whether it may carry FLAG_FIN. */
  readonly fin?: true;
  /** Other flags that it may carry. */
  readonly flags?: number;
  /** Fields in their order; null: the payload is the data itself. */
  readonly fields: Readonly<Record<string, FieldName>> | null;
  readonly doc: string;
}

const HANDSHAKE = ["hello", "auth", "ready", "draining"] as const;
const RUNNING = ["ready", "draining"] as const;

/**
 * Every frame of FSH/1. Types, codec, phase checks, size limits, the fuzz generator and the reference of PROTOCOL.md
 * come from this table. A code, once released, is never used again.
 */
export const FRAMES = {
  HELLO: {
    code: 0x01,
    sender: "both",
    phases: ["hello"],
    on: "session",
    max: 8192,
    fields: {
      version: "u16",
      agent: "word",
      capabilities: "words",
      methods: "words",
      maxData: "u32",
      window: "u32",
      maxStreams: "u32",
      heartbeat: "u32",
      misses: "u16",
      peer: "sentence",
    },
    doc:
      "Opens the session; the client speaks first. `methods`: ways to authenticate that the server takes (empty from a client). `window`: bytes that each stream may send to this side before it grants more. `heartbeat`: milliseconds, 0 for none. `peer`: what the client knows the server by, over TLS (empty from a server, and without TLS).",
  },
  AUTH: {
    code: 0x02,
    sender: "client",
    phases: ["auth"],
    on: "session",
    max: 8192,
    fields: { method: "word", user: "sentence", data: "secret" },
    doc: "Credentials, or the next step of a challenge and response.",
  },
  CHALLENGE: {
    code: 0x03,
    sender: "server",
    phases: ["auth"],
    on: "session",
    max: 8192,
    fields: { data: "secret" },
    doc: "The server's step of a challenge and response.",
  },
  READY: {
    code: 0x04,
    sender: "server",
    phases: ["auth"],
    on: "session",
    max: 2048,
    fields: { session: "word", user: "sentence" },
    doc: "The client is in. `session` names the session as the server's log does.",
  },
  PING: {
    code: 0x08,
    sender: "both",
    phases: RUNNING,
    on: "session",
    max: 8,
    fields: { nonce: "u64" },
    doc: "Are you there? Answered by a PONG with the same nonce, before any queued data.",
  },
  PONG: {
    code: 0x09,
    sender: "both",
    phases: RUNNING,
    on: "session",
    max: 8,
    fields: { nonce: "u64" },
    doc: "The answer to a PING.",
  },
  WINDOW: {
    code: 0x0a,
    sender: "both",
    phases: RUNNING,
    on: "stream",
    max: 4,
    fields: { credit: "u32" },
    doc: "The receiver of the stream's metered frames takes `credit` bytes more.",
  },
  CANCEL: {
    code: 0x0b,
    sender: "both",
    phases: RUNNING,
    on: "stream",
    max: 2,
    fields: { code: "errorCode" },
    doc: "The sender gives the stream up; neither side sends on it any more.",
  },
  GOAWAY: {
    code: 0x0c,
    sender: "both",
    phases: HANDSHAKE,
    on: "session",
    max: 2048,
    fields: { code: "errorCode", message: "sentence" },
    doc:
      "No new streams; open ones finish, then the sender closes. `code` 0: an ordinary end; else a code of the errors table. `message` says more, for people, and may be empty.",
  },
  ERROR: {
    code: 0x0d,
    sender: "both",
    phases: HANDSHAKE,
    on: "any",
    max: 8192,
    fields: { code: "errorCode", subject: "path", detail: "sentence" },
    doc:
      "On a stream: the request failed and the stream is closed. On stream 0: the session has failed and ends. `subject` names what it is about and may be empty, as may `detail`.",
  },
  DATA: {
    code: 0x10,
    sender: "both",
    phases: RUNNING,
    on: "stream",
    max: MAX_DATA,
    metered: true,
    flags: FLAG_UNCHECKED | FLAG_ZSTD,
    fields: null,
    doc: "Bytes of a file.",
  },
  END: {
    code: 0x11,
    sender: "both",
    phases: RUNNING,
    on: "stream",
    max: 8192,
    fin: true,
    fields: { size: "u64", algorithm: "word", digest: "bytes" },
    doc:
      "After the last DATA: bytes sent, and their digest (`none`: empty digest). As a server's answer to a put: what is stored.",
  },
  ENTRIES: {
    code: 0x12,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 128 * 1024,
    metered: true,
    fields: { entries: "entries" },
    doc: "A page of a listing.",
  },
  INFO: {
    code: 0x13,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 64,
    fin: true,
    fields: { type: "entryType", size: "u64", modified: "time", mode: "mode", offset: "u64" },
    doc:
      "What a path is. The answer to STAT, and the first answer to GET, whose DATA then begin at `offset` of the file.",
  },
  ACCEPT: {
    code: 0x14,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 8192,
    fields: { offset: "u64", algorithm: "word", digest: "bytes" },
    doc:
      "The answer to a PUT that asked to continue: `offset` bytes are there, and this is their digest. Answered by BEGIN.",
  },
  DONE: {
    code: 0x15,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 32,
    fin: true,
    fields: { count: "u64", skipped: "u64" },
    doc: "The request succeeded: things listed or removed, and things left out (names that are not Unicode).",
  },
  DIGEST: {
    code: 0x16,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 8192,
    fin: true,
    fields: { algorithm: "word", digest: "bytes", size: "u64" },
    doc: "The answer to HASH: the digest of `size` bytes.",
  },
  BEGIN: {
    code: 0x17,
    sender: "client",
    phases: RUNNING,
    on: "stream",
    max: 8,
    fields: { offset: "u64" },
    doc: "The answer to ACCEPT: DATA begin at `offset`, which is the accepted one, or 0 to begin anew.",
  },
  FILES: {
    code: 0x18,
    sender: "both",
    phases: RUNNING,
    on: "stream",
    max: MAX_DATA,
    metered: true,
    fin: true,
    flags: FLAG_ZSTD,
    fields: { files: "files" },
    doc:
      "Whole small files. From a server: some of those that GETS asked for, in that order and without their paths; one with a `code` has as its content up to 256 bytes of text that say why. From a client: files to store, each answered in a STORED; the last frame says that it is.",
  },
  STORED: {
    code: 0x19,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 128 * 1024,
    metered: true,
    fin: true,
    fields: { outcomes: "outcomes" },
    doc: "The answer to a FILES of PUTS: what became of each of its files.",
  },
  TARGET: {
    code: 0x1a,
    sender: "server",
    phases: RUNNING,
    on: "stream",
    max: 4100,
    fin: true,
    fields: { target: "path" },
    doc: "The answer to READLINK: the text of a symbolic link.",
  },
  LIST: {
    code: 0x20,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path", recursive: "u8" },
    doc: "List a folder, with 1 everything below it. Answered by ENTRIES pages in no order and DONE.",
  },
  STAT: {
    code: 0x21,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path" },
    doc: "Answered by INFO.",
  },
  GET: {
    code: 0x22,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 16384,
    fin: true,
    fields: {
      path: "path",
      offset: "u64",
      length: "size",
      algorithm: "word",
      prefix: "bytes",
      options: "u8",
      priority: "u8",
    },
    doc:
      "Send a file from `offset`, `length` bytes or to the end. Answered by INFO, DATA and END. With a `prefix`, which is the digest of the `offset` bytes that the client has, the server compares first: where they differ, DATA begin at 0; END then has size and digest of the whole file. Without, END has those of what was sent. `options`: 8 compress where it is worth it, 16 compress in any case. `priority`: 0 low, 1 normal, 2 high, against the session's other streams.",
  },
  PUT: {
    code: 0x23,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fields: {
      path: "path",
      size: "size",
      modified: "time",
      mode: "mode",
      algorithm: "word",
      options: "u8",
      key: "word",
    },
    doc:
      "Store a file: DATA and END follow, END with size and digest, by `algorithm`, of the whole file. Answered, once it is in place and durable, by END. `options`: 1 refuse to replace, 2 make missing folders, 4 continue what an earlier put left (wait for ACCEPT). `key`: what an interrupted put leaves can be continued by a put with the same key; empty: nothing is left.",
  },
  MKDIR: {
    code: 0x24,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path", options: "u8" },
    doc:
      "Make a folder. `options`: 2 make missing folders too, and be content with one that is there. Answered by DONE.",
  },
  REMOVE: {
    code: 0x25,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path", recursive: "u8" },
    doc: "Remove a file or an empty folder, with 1 everything below it too. Answered by DONE.",
  },
  MOVE: {
    code: 0x26,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 16384,
    fin: true,
    fields: { from: "path", to: "path", options: "u8" },
    doc: "Rename. `options`: 1 refuse to replace. Answered by DONE.",
  },
  HASH: {
    code: 0x27,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path", offset: "u64", length: "size", algorithm: "word" },
    doc: "Digest of a file or a part of it. Answered by DIGEST.",
  },
  GETS: {
    code: 0x28,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 128 * 1024,
    fin: true,
    fields: { algorithm: "word", limit: "u32", options: "u8", paths: "paths" },
    doc:
      "Send many small files. Answered by FILES, with each file's digest, and DONE. A file of more than `limit` bytes, or too large for a frame, comes with its size and without content. `options`: 8 and 16 as for GET.",
  },
  PUTS: {
    code: 0x29,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 128,
    fields: { algorithm: "word", options: "u8" },
    doc:
      "Store many small files: FILES follow, each with its files' digests, each answered by STORED. `options`: 1 refuse to replace, 2 make missing folders.",
  },
  READLINK: {
    code: 0x2a,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path" },
    doc: "What a symbolic link says. Answered by TARGET.",
  },
  SYMLINK: {
    code: 0x2b,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 16384,
    fin: true,
    fields: { path: "path", target: "path" },
    doc:
      "Make a symbolic link, replacing one that is there. `target` is relative and leads to somewhere in the served folder. Answered by DONE.",
  },
  TOUCH: {
    code: 0x2c,
    sender: "client",
    phases: RUNNING,
    on: "opens",
    max: 8192,
    fin: true,
    fields: { path: "path", modified: "time", mode: "mode" },
    doc: "Set time and permission bits of what is there, as far as they are known. Answered by DONE.",
  },
} as const satisfies Record<string, FrameRow>;

/** Bits of the `options` fields. */
export const OPTION_NO_REPLACE = 1;
export const OPTION_PARENTS = 2;
export const OPTION_CONTINUE = 4;
export const OPTION_COMPRESS_AUTO = 8;
export const OPTION_COMPRESS_ALWAYS = 16;

export type FrameName = keyof typeof FRAMES;
/** The fields of a frame as an object. */
export type FrameFields<N extends FrameName> = (typeof FRAMES)[N]["fields"] extends
  infer F extends Readonly<Record<string, FieldName>> ? { readonly [K in keyof F]: FieldValue<F[K]> }
  : Record<never, never>;

/** Frames that open a stream: the requests. */
export type RequestName = { [N in FrameName]: (typeof FRAMES)[N]["on"] extends "opens" ? N : never }[FrameName];

/** A row of the table, without what is known of it at compile time. */
export function frameRow(name: FrameName): FrameRow {
  return FRAMES[name];
}

const BY_CODE: (FrameName | undefined)[] = [];
for (const [name, row] of Object.entries(FRAMES)) BY_CODE[row.code] = name as FrameName;

export function frameName(code: number): FrameName | undefined {
  return BY_CODE[code];
}
