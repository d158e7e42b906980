import { jsonText, printable, toHex } from "../base/bytes.ts";
import { errorName, toFshError } from "../base/errors.ts";
import { decodeMessage, type FrameHeader, readHeader } from "../wire/codec.ts";
import { FIELDS } from "../wire/field.ts";
import { FLAG_FIN, FLAG_UNCHECKED, FLAG_ZSTD, type FrameName, frameName, frameRow } from "../wire/frames.ts";
import { holdsSecret, type Layout } from "../wire/layout.ts";
import type { SeenFrame } from "./flow.ts";
import type { TraceRecord } from "./trace_format.ts";

/** Items of a list, and bytes of a block, that a line shows. */
const [ITEMS, BYTES] = [4, 16];
const FLAG_NAMES = [[FLAG_FIN, "FIN"], [FLAG_UNCHECKED, "UNCHECKED"], [FLAG_ZSTD, "ZSTD"]] as const;

/** A frame of a trace, as far as it can be read. */
export interface ReadFrame {
  readonly header: FrameHeader;
  /** Undefined for a type that this version does not know. */
  readonly name: FrameName | undefined;
  readonly flags: readonly string[];
  /** Undefined where there are none to be read. */
  readonly fields: Readonly<Record<string, unknown>> | undefined;
  /** What is wrong with it. */
  readonly wrong: string | undefined;
}

export function readFrame({ header: bytes, kept, arrived, malformed }: SeenFrame): ReadFrame {
  const header = readHeader(bytes, 0);
  const name = frameName(header.type);
  const flags = FLAG_NAMES.filter(([bit]) => header.flags & bit).map(([, name]) => name);
  const frame = { header, name, flags, fields: undefined };
  if (name === undefined) return { ...frame, wrong: "a type that is not known; nothing is read behind it" };
  if (header.length > frameRow(name).max) return { ...frame, wrong: "longer than its type allows" };
  if (arrived < header.length) return { ...frame, wrong: `cut off after ${arrived} bytes` };
  if (malformed) return { ...frame, wrong: "malformed" };
  if (frameRow(name).fields !== null && kept.length === 0 && header.length > 0) return { ...frame, wrong: "not kept" };
  if (frameRow(name).fields === null) return { ...frame, wrong: undefined };
  try {
    const { fields } = decodeMessage({ name, fin: false, stream: header.stream, crc: undefined, payload: kept });
    return { ...frame, fields: fields as Readonly<Record<string, unknown>>, wrong: undefined };
  } catch (error) {
    return { ...frame, wrong: `malformed: ${toFshError(error).message}` };
  }
}

/** One line for people: `22:41:03.123456 c1 > GET stream 1 length 57 FIN: path="/a" offset=0`. */
export function textLine(record: TraceRecord): string {
  const [day, clock] = timeText(record.time).split("T");
  const at = `${clock?.slice(0, -1)} c${record.session}`;
  switch (record.kind) {
    case "opened": {
      const { client, server, by } = record.facts;
      return `${at} opened ${printable(client)} > ${printable(server)}, seen by the ${by}, ${day}`;
    }
    case "closed": {
      const { by, how, sent, received } = record.facts;
      return `${at} ${how} by the ${by}: ${sent} bytes sent, ${received} received`;
    }
    case "stray":
      return `${at} ${arrow(record.from)} ${record.bytes} bytes that are not FSH/1`;
    case "frame":
      return `${at} ${arrow(record.from)} ${frameText(readFrame(record.frame), record.frame)}`;
  }
}

function arrow(from: "client" | "server"): string {
  return from === "client" ? ">" : "<";
}

function frameText({ header, name, flags, fields, wrong }: ReadFrame, { elided, arrived }: SeenFrame): string {
  const what = name ?? `type 0x${header.type.toString(16).padStart(2, "0")}`;
  const head = [what, ...(header.stream ? [`stream ${header.stream}`] : []), `length ${header.length}`, ...flags];
  const types = fields && name ? Object.entries(frameRow(name).fields ?? {}) : [];
  const values = types.map(([field, type]) => `${field}=${valueText(fields?.[field], FIELDS[type].layout)}`);
  if (elided && arrived > 0) values.push("(content not kept)");
  if (wrong !== undefined) values.push(`[${printable(wrong)}]`);
  return head.join(" ") + (values.length > 0 ? `: ${values.join(" ")}` : "");
}

function valueText(value: unknown, layout: Layout): string {
  if (value === null) return "-";
  if (value instanceof Uint8Array) return holdsSecret(layout) ? `(${value.length} bytes, masked)` : bytesText(value);
  if (layout.kind === "list" && Array.isArray(value)) {
    const items = value.slice(0, ITEMS).map((item) => valueText(item, layout.item));
    if (value.length > ITEMS) items.push(`and ${value.length - ITEMS} more`);
    return `[${items.join(", ")}]`;
  }
  if (layout.kind === "record" && isObject(value)) {
    const fields = Object.entries(layout.fields);
    return `{${fields.map(([name, field]) => `${name}=${valueText(value[name], field)}`).join(" ")}}`;
  }
  if (layout.kind === "number" && typeof value === "number") {
    if (layout.names === "errors" && value !== 0) return `${value} (${errorName(value)})`;
    if (layout.as === "octal") return value.toString(8).padStart(4, "0");
    if (layout.as === "time") return dateText(value);
  }
  return typeof value === "string" && layout.kind === "text" ? `"${printable(value)}"` : String(value);
}

function bytesText(bytes: Uint8Array): string {
  if (bytes.length === 0) return "(empty)";
  return toHex(bytes.subarray(0, BYTES)) + (bytes.length > BYTES ? `… (${bytes.length} bytes)` : "");
}

function dateText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** One JSON object on one line. */
export function jsonLine(record: TraceRecord): string {
  const at = { time: timeText(record.time), session: `c${record.session}` };
  switch (record.kind) {
    case "opened":
    case "closed":
      return jsonText({ ...at, event: record.kind, ...record.facts });
    case "stray":
      return jsonText({ ...at, event: "stray", from: record.from, bytes: record.bytes });
    case "frame": {
      const { header: { type, stream, length, crc }, name, flags, fields, wrong } = readFrame(record.frame);
      const { elided, kept } = record.frame;
      const isData = name !== undefined && frameRow(name).fields === null;
      return jsonText({
        ...at,
        event: "frame",
        from: record.from,
        frame: name ?? null,
        ...{ type, stream, length, flags, crc },
        ...(fields && name ? { fields: plainFields(fields, name) } : {}),
        ...(isData && kept.length > 0 ? { data: toHex(kept) } : {}),
        ...(elided ? { elided } : {}),
        ...(wrong === undefined ? {} : { wrong }),
      });
    }
  }
}

function plainFields(fields: Readonly<Record<string, unknown>>, name: FrameName): Record<string, unknown> {
  const types = Object.entries(frameRow(name).fields ?? {});
  return Object.fromEntries(types.map(([field, type]) => [field, plain(fields[field], FIELDS[type].layout)]));
}

function plain(value: unknown, layout: Layout): unknown {
  if (value instanceof Uint8Array) return holdsSecret(layout) ? { masked: value.length } : toHex(value);
  if (layout.kind === "list" && Array.isArray(value)) return value.map((item) => plain(item, layout.item));
  if (layout.kind === "record" && isObject(value)) {
    return Object.fromEntries(Object.entries(layout.fields).map(([name, field]) => [name, plain(value[name], field)]));
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** RFC 3339 in UTC, with microseconds. */
function timeText(microseconds: number): string {
  const date = new Date(Math.floor(microseconds / 1000));
  if (Number.isNaN(date.getTime())) return "-T--:--:--.------Z";
  const rest = String(Math.floor(microseconds % 1000)).padStart(3, "0");
  return date.toISOString().replace("Z", `${rest}Z`);
}

/** As hexdump(1) does: offset, 16 bytes, and their characters. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = [...row].map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`    ${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines;
}
