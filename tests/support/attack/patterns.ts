import { encodeMessage, sealFrame } from "../../../lib/wire/codec.ts";
import { type FrameFields, FRAMES, HEADER_BYTES, MAX_DATA } from "../../../lib/wire/frames.ts";
import { PREFACE } from "../../../lib/wire/preface.ts";
import { zstdCompressSync } from "node:zlib";
import { joined, rawFrame } from "../raw_frame.ts";

/** Names that an attacked server has in its folder. */
export const VICTIM = { file: "/big", huge: "/huge", folder: "/many" } as const;

/** What an attacker remembers of its connection. */
export interface Turn {
  /** Milliseconds since the connection was made. */
  readonly age: number;
  /** How often it was asked before. */
  readonly count: number;
  /** Requests that were answered to their end since the last time. */
  readonly answered: number;
}

/** One way to be a nuisance: what a connection sends, and whether it reads. */
export interface Pattern {
  /** Whether it comes in first; otherwise `next` is asked from the first byte on. */
  readonly shakes: boolean;
  readonly reads: boolean;
  /** What to send now; null: nothing yet; "close": leave with a reset and come again. */
  next(turn: Turn): Uint8Array | null | "close";
}

const HELLO = encodeMessage("HELLO", 0, {
  version: 1,
  agent: "attacker",
  capabilities: ["zstd"],
  methods: [],
  maxData: MAX_DATA,
  window: 256 * 1024,
  maxStreams: 1000,
  heartbeat: 0,
  misses: 3,
  peer: "",
});

/** All that it takes to come in where nobody is asked for anything. */
export const HANDSHAKE = joined(
  PREFACE,
  HELLO,
  encodeMessage("AUTH", 0, { method: "anonymous", user: "", data: new Uint8Array() }),
);

/** Frames that a client sends at once. */
const BLOCK = 500;

function times(count: number, make: (at: number) => Uint8Array): Uint8Array {
  return joined(...Array.from({ length: count }, (_, at) => make(at)));
}

const getOf = (path: string): FrameFields<"GET"> => ({
  path,
  offset: 0,
  length: null,
  algorithm: "none",
  prefix: new Uint8Array(),
  options: 0,
  priority: 1,
});

function get(stream: number, path: string): Uint8Array {
  return encodeMessage("GET", stream, getOf(path), true);
}

function put(stream: number): Uint8Array {
  const path = `/junk-${crypto.randomUUID()}`;
  return encodeMessage("PUT", stream, {
    path,
    size: null,
    modified: null,
    mode: null,
    algorithm: "none",
    options: 0,
    key: "",
  });
}

function data(stream: number, bytes: Uint8Array): Uint8Array {
  const frame = joined(new Uint8Array(HEADER_BYTES), bytes);
  sealFrame(frame, "DATA", stream);
  return frame;
}

/** The bytes one by one, a second between them. */
function dribble(bytes: Uint8Array, { age, count }: Turn): Uint8Array | null {
  return age < count * 1000 ? null : bytes.subarray(count % bytes.length, count % bytes.length + 1);
}

/** The same once, then a block again and again. */
function flood(first: Uint8Array, block: Uint8Array): Pick<Pattern, "next"> {
  return { next: ({ count }) => count === 0 ? first : block };
}

const PINGS = times(BLOCK, (nonce) => encodeMessage("PING", 0, { nonce }));
const GRANTS = times(BLOCK, () => encodeMessage("WINDOW", 1, { credit: 1 }));
const TINY = times(BLOCK, () => data(1, Uint8Array.of(0)));
/** DATA of a stream that is over: each becomes a megabyte before anybody sees that nobody wants it. */
const BOMB = rawFrame({
  type: FRAMES.DATA.code,
  flags: 0x04,
  stream: 1,
  payload: zstdCompressSync(new Uint8Array(MAX_DATA)),
});
const HASHES = 8;

function hash(stream: number): Uint8Array {
  return encodeMessage("HASH", stream, { path: VICTIM.huge, offset: 0, length: null, algorithm: "sha256" }, true);
}

function stat(stream: number): Uint8Array {
  return encodeMessage("STAT", stream, { path: VICTIM.file }, true);
}

function list(stream: number): Uint8Array {
  const request = encodeMessage("LIST", stream, { path: VICTIM.folder, recursive: 0 }, true);
  return joined(request, encodeMessage("WINDOW", stream, { credit: 2 ** 31 }));
}

/** Some requests at the start, and one for each that was answered. */
function again(count: number, make: (stream: number) => Uint8Array): Pick<Pattern, "next"> {
  return {
    // Streams of a client are odd and only go up; time does, too.
    next: ({ age, answered, count: turn }) => {
      const from = turn === 0 ? 1 : 2 * Math.ceil(age * 100) + 1000 * count + 1;
      const some = turn === 0 ? count : answered;
      return some === 0 ? null : times(some, (at) => make(from + 2 * at));
    },
  };
}

/** The patterns of the issue that came of them: each is tried against the running program. */
export const PATTERNS = {
  "slow handshakes": { shakes: false, reads: true, next: (turn) => dribble(HANDSHAKE, turn) },
  "a byte per second": {
    shakes: true,
    reads: true,
    next: (turn) =>
      turn.count === 0 ? put(1) : dribble(data(1, new Uint8Array(1000)), { ...turn, count: turn.count - 1 }),
  },
  "windows of a byte": { shakes: true, reads: true, ...flood(get(1, VICTIM.file), GRANTS) },
  "streams never read": {
    shakes: true,
    reads: false,
    next: ({ count }) => count > 0 ? null : times(1000, (at) => get(2 * at + 1, VICTIM.file)),
  },
  "PING flood": { shakes: true, reads: true, ...flood(PINGS, PINGS) },
  "CANCEL flood": {
    shakes: true,
    reads: true,
    next: ({ count }) =>
      times(BLOCK, (at) => {
        const stream = 2 * (count * BLOCK + at) + 1;
        return joined(get(stream, VICTIM.file), encodeMessage("CANCEL", stream, { code: 4 }));
      }),
  },
  "tiny frames": { shakes: true, reads: true, next: ({ count }) => count === 0 ? put(1) : TINY },
  "reconnect storm": { shakes: true, reads: true, next: () => "close" },
  "compressed bombs": {
    shakes: true,
    reads: true,
    ...flood(joined(get(1, "/missing"), encodeMessage("CANCEL", 1, { code: 4 })), times(50, () => BOMB)),
  },
  "huge listings": { shakes: true, reads: true, ...again(2, list) },
  "small requests": { shakes: true, reads: true, ...again(16, stat) },
  "hashes of huge files": { shakes: true, reads: true, ...again(HASHES, hash) },
} as const satisfies Record<string, Pattern>;

export type PatternName = keyof typeof PATTERNS;
