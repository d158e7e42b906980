import { FIELDS } from "../wire/field.ts";
import { FLAG_ZSTD, type FrameName, frameRow } from "../wire/frames.ts";
import { holdsSecret, type Layout, markedSpans, type Span } from "../wire/layout.ts";
import { decompress } from "../wire/compression.ts";

/** A payload as others may see it. */
export interface Masked {
  /** As long as it was; zeros where a secret, or content that is not wanted, was. */
  readonly shown: Uint8Array;
  /** Its fields, encoded and unpacked, with zeros for secrets and without content that is not wanted. */
  readonly kept: Uint8Array;
  /** Content was left out of `kept`. */
  readonly elided: boolean;
  /** It is not what its row of FRAMES says, so nothing of it is kept. */
  readonly malformed: boolean;
}

const NOTHING = new Uint8Array(0);

/** How the fields of a frame lie; none for DATA. */
export function layoutsOf(name: FrameName): readonly Layout[] {
  return Object.values(frameRow(name).fields ?? {}).map((field) => FIELDS[field].layout);
}

/**
 * Takes out of a message what no trace may hold. `content`: bytes of file content that may stay. Where the fields can't be
 * told from each other nothing stays of a frame that may hold a secret, and of others no more than of content.
 */
export function mask(
  frame: { readonly name: FrameName; readonly flags: number; readonly payload: Uint8Array },
  content: number,
): Masked {
  const { name, flags, payload } = frame;
  const layouts = layoutsOf(name);
  const secretive = layouts.some(holdsSecret);
  const open = !secretive && payload.length <= content;
  const malformed = {
    shown: open ? payload : new Uint8Array(payload.length),
    kept: open ? payload : NOTHING,
    elided: false,
    malformed: true,
  };
  if ((flags & FLAG_ZSTD) === 0) {
    const spans = markedSpans(payload, layouts);
    return spans ? { shown: blank(payload, spans, content), ...keep(payload, spans, content) } : malformed;
  }
  if (((frameRow(name).flags ?? 0) & FLAG_ZSTD) === 0 || secretive) return malformed;
  try {
    const plain = decompress(payload, frameRow(name).max);
    const spans = markedSpans(plain, layouts);
    if (!spans) return malformed;
    return { shown: firstOf(payload, content), ...keep(plain, spans, content) };
  } catch {
    return malformed;
  }
}

/** The first bytes as they are, zeros behind them. */
function firstOf(bytes: Uint8Array, most: number): Uint8Array {
  if (bytes.length <= most) return bytes;
  const shown = new Uint8Array(bytes.length);
  shown.set(bytes.subarray(0, most));
  return shown;
}

/** A copy with zeros in place of secrets and of content beyond `content` bytes. */
function blank(payload: Uint8Array, spans: readonly Span[], content: number): Uint8Array {
  if (spans.length === 0) return payload;
  const shown = payload.slice();
  let left = content;
  for (const { start, end, holds } of spans) {
    const stays = holds === "secret" ? 0 : Math.min(left, end - start);
    left -= holds === "secret" ? 0 : stays;
    shown.fill(0, start + stays, end);
  }
  return shown;
}

/** A copy with zeros in place of secrets, in which content that does not fit into `content` bytes is empty. */
function keep(
  payload: Uint8Array,
  spans: readonly Span[],
  content: number,
): Pick<Masked, "kept" | "elided" | "malformed"> {
  if (spans.length === 0) return { kept: payload, elided: false, malformed: false };
  const kept = new Uint8Array(payload.length);
  let [from, at, left, elided] = [0, 0, content, false];
  const copyTo = (end: number) => {
    kept.set(payload.subarray(from, end), at);
    at += end - from;
    from = end;
  };
  for (const { start, end, length, holds } of spans) {
    const bytes = end - start;
    if (holds === "content" && bytes <= left) {
      left -= bytes;
      continue;
    }
    // What is skipped below is zero in the copy: the length of what is left out, or the secret itself.
    copyTo(holds === "content" ? start - length : start);
    at += holds === "content" ? length : bytes;
    from = end;
    if (holds === "content") elided = true;
  }
  copyTo(payload.length);
  return { kept: kept.subarray(0, at), elided, malformed: false };
}
