import { decodeUtf8, encodeUtf8, equalBytes } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { HEADER_BYTES, MAX_DATA, type Role } from "../wire/frames.ts";
import type { ByteSource } from "./byte_source.ts";
import type { SeenFrame } from "./flow.ts";

/** The first bytes of a trace: name and version. */
export const TRACE_MAGIC: Uint8Array = encodeUtf8("FSH-TRACE/1\n");

/** u32 length of the body, u8 kind, u8 sender, u16 flags, u32 session, f64 time; big-endian. */
const RECORD_HEAD = 20;
/** Before what is kept of a frame: its header and u32 bytes of the payload that came. */
const FRAME_HEAD = HEADER_BYTES + 4;
/** Largest body, in bytes: a frame that is kept whole. */
const MOST_BODY = FRAME_HEAD + MAX_DATA + 64 * 1024;

const KINDS = ["opened", "frame", "stray", "closed"] as const;
const ROLES = ["client", "server"] as const;

const ELIDED = 1;
const MALFORMED = 2;

/** What a session was, as soon as its connection was there. */
export interface Opened {
  /** `address:port`. */
  readonly client: string;
  readonly server: string;
  /** Which of them wrote the trace. */
  readonly by: Role;
}

/** How a connection ended. `by`: the side that began. */
export interface Closed {
  readonly by: Role;
  readonly how: "closed" | "reset";
  /** Bytes that the side which wrote the trace handed over and received. */
  readonly sent: number;
  readonly received: number;
}

interface About {
  /** Number of the session in this trace, from 1. */
  readonly session: number;
  /** Microseconds since 1970-01-01T00:00Z. */
  readonly time: number;
}

/** One record of a trace; of `stray` bytes, which are no FSH/1, nothing but the number is kept. */
export type TraceRecord =
  & About
  & (
    | { readonly kind: "opened"; readonly facts: Opened }
    | { readonly kind: "frame"; readonly from: Role; readonly frame: SeenFrame }
    | { readonly kind: "stray"; readonly from: Role; readonly bytes: number }
    | { readonly kind: "closed"; readonly facts: Closed }
  );

/** In parts: what is kept of a frame is not copied. */
export function encodeRecord(record: TraceRecord): Uint8Array[] {
  switch (record.kind) {
    case "opened":
    case "closed":
      return encode(record, {
        body: [encodeUtf8(JSON.stringify(record.facts))],
        from: record.kind === "opened" ? "client" : record.facts.by,
      });
    case "stray":
      return encode(record, { body: [encodeUtf8(String(record.bytes))], from: record.from });
    case "frame": {
      const { header, arrived, kept, elided, malformed } = record.frame;
      const head = new Uint8Array(FRAME_HEAD);
      head.set(header);
      new DataView(head.buffer).setUint32(HEADER_BYTES, arrived);
      const flags = (elided ? ELIDED : 0) | (malformed ? MALFORMED : 0);
      return encode(record, { body: [head, kept], from: record.from, flags });
    }
  }
}

function encode(
  { kind, session, time }: Pick<TraceRecord, "kind" | "session" | "time">,
  { body, from, flags = 0 }: { body: readonly Uint8Array[]; from: Role; flags?: number },
): Uint8Array[] {
  const head = new Uint8Array(RECORD_HEAD);
  const view = new DataView(head.buffer);
  view.setUint32(0, body.reduce((sum, { length }) => sum + length, 0));
  view.setUint8(4, KINDS.indexOf(kind));
  view.setUint8(5, ROLES.indexOf(from));
  view.setUint16(6, flags);
  view.setUint32(8, session);
  view.setFloat64(12, time);
  return [head, ...body];
}

/**
 * The records of a trace, one by one. `torn` is called where it ends within a record, as that of a program does which was
 * killed.
 *
 * @throws {FshError} BAD_TRACE
 */
export async function* readTrace(
  source: ByteSource,
  torn: () => void = () => {},
): AsyncGenerator<TraceRecord> {
  const magic = await source.take(TRACE_MAGIC.length);
  if (!equalBytes(magic, TRACE_MAGIC)) {
    throw new FshError("BAD_TRACE", { detail: "it does not begin as what fsh --trace writes" });
  }
  for (;;) {
    const head = await source.take(RECORD_HEAD);
    if (head.length === 0) return;
    if (head.length < RECORD_HEAD) return torn();
    const view = new DataView(head.buffer, head.byteOffset);
    const length = view.getUint32(0);
    if (length > MOST_BODY) throw damaged();
    const body = await source.take(length);
    if (body.length < length) return torn();
    yield decode(view, body);
  }
}

function decode(view: DataView, body: Uint8Array): TraceRecord {
  const kind = KINDS[view.getUint8(4)];
  const from = ROLES[view.getUint8(5)];
  const flags = view.getUint16(6);
  const about = { session: view.getUint32(8), time: view.getFloat64(12) };
  if (kind === undefined || from === undefined || !Number.isFinite(about.time)) throw damaged();
  if (kind !== "frame") {
    try {
      const value: unknown = JSON.parse(decodeUtf8(body));
      if (kind === "stray" && typeof value === "number") return { ...about, kind, from, bytes: value };
      if (kind === "opened" && isOpened(value)) return { ...about, kind, facts: value };
      if (kind === "closed" && isClosed(value)) return { ...about, kind, facts: value };
    } catch {
      // See below.
    }
    throw damaged();
  }
  if (body.length < FRAME_HEAD) throw damaged();
  const arrived = new DataView(body.buffer, body.byteOffset).getUint32(HEADER_BYTES);
  const [elided, malformed] = [(flags & ELIDED) !== 0, (flags & MALFORMED) !== 0];
  const frame = { header: body.subarray(0, HEADER_BYTES), arrived, kept: body.subarray(FRAME_HEAD), elided, malformed };
  return { ...about, kind, from, frame };
}

function isOpened(value: unknown): value is Opened {
  return isObject(value) && typeof value.client === "string" && typeof value.server === "string" && isRole(value.by);
}

function isClosed(value: unknown): value is Closed {
  return isObject(value) && isRole(value.by) && (value.how === "closed" || value.how === "reset") &&
    typeof value.sent === "number" && typeof value.received === "number";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isRole(value: unknown): value is Role {
  return value === "client" || value === "server";
}

function damaged(): FshError {
  return new FshError("BAD_TRACE", { detail: "it is damaged; what came before is all that can be read" });
}
