import { frameRow, HEADER_BYTES, type Phase, type Role } from "../../lib/wire/frames.ts";
import { FRAME_NAMES, validFrame } from "../support/frame_values.ts";
import { Random } from "../support/random.ts";
import { fixCrc, joined } from "../support/raw_frame.ts";

/** Bytes for one run: frames of the FRAMES table, most of them damaged in some way. */
export interface Sequence {
  readonly bytes: Uint8Array;
  /** Whether every frame is as long as its header says, so that what comes after the sequence is seen as a frame. */
  readonly aligned: boolean;
  /** How many bytes to hand over at once. */
  readonly chunk: number;
}

export interface SequenceOptions {
  /** Frames to choose from; all by default. */
  readonly names?: readonly (typeof FRAME_NAMES)[number][];
  /** The lowest stream number that was not used yet. */
  readonly stream?: number;
}

const PHASES: readonly Phase[] = ["hello", "auth", "ready", "draining", "closed"];

/** Names that the given side may send in a phase. */
export function namesFor(from: Role, phase: Phase) {
  return FRAME_NAMES.filter((name) => {
    const { sender, phases } = frameRow(name);
    return (sender === "both" || sender === from) && phases.includes(phase);
  });
}

/** Mostly `ready`, where most can happen. */
export function pickPhase(random: Random): Phase {
  return random.chance(70) ? "ready" : random.pick(PHASES);
}

/** What a seed stands for. The same seed and options give the same bytes. */
export function makeSequence(random: Random, options: SequenceOptions = {}): Sequence {
  const { names = FRAME_NAMES, stream: next = 1 } = options;
  const frames: Uint8Array[] = [];
  const count = 1 + random.below(4);
  for (let i = 0, opened = next; i < count; i++) {
    // Now and then a frame that does not belong here at all.
    const name = random.pick(random.chance(90) ? names : FRAME_NAMES);
    const on = frameRow(name).on;
    let stream = on === "session" ? 0 : on === "opens" ? opened : random.pick([0, next, Math.max(1, opened - 2)]);
    if (on === "opens") opened += 2;
    if (random.chance(5)) stream = random.pick([0, 1, 2, opened, 2 ** 32 - 1, random.next()]);
    frames.push(validFrame(name, random, stream));
  }
  const chunk = random.chance(50) ? Infinity : 1 + random.below(40);
  const damage = random.below(10);
  if (damage < 6) {
    const at = random.below(count);
    frames[at] = ALIGNED[random.below(ALIGNED.length)]?.(random, frames[at] as Uint8Array) as Uint8Array;
    return { bytes: joined(...frames), aligned: true, chunk };
  }
  const bytes = joined(...frames);
  if (damage < 9) {
    return { bytes: UNALIGNED[random.below(UNALIGNED.length)]?.(random, bytes) ?? bytes, aligned: false, chunk };
  }
  return { bytes, aligned: true, chunk };
}

type Damage = (random: Random, frame: Uint8Array) => Uint8Array;

/** Damages after which the frame still ends where its header says. */
const ALIGNED: readonly Damage[] = [
  // The payload changed, its CRC-32 fitting again: gets as far as the fields.
  (random, frame) => fixed(changed(random, frame, HEADER_BYTES)),
  (random, frame) => fixed(changed(random, frame, HEADER_BYTES)),
  // Cut, or longer than its fields.
  (random, frame) => fixed(frame.slice(0, HEADER_BYTES + random.below(Math.max(1, frame.length - HEADER_BYTES)))),
  (random, frame) => fixed(joined(frame, random.bytes(1 + random.below(20)))),
  // Any payload at all.
  (random, frame) => fixed(joined(frame.subarray(0, HEADER_BYTES), random.bytes(random.below(60)))),
  // The payload or the CRC-32 damaged on the way.
  (random, frame) => changed(random, frame, HEADER_BYTES),
  (random, frame) => overwritten(random, frame, 12, 4),
  // Another type, flags, reserved bits, stream.
  (random, frame) => overwritten(random, frame, 4, 1),
  (random, frame) => overwritten(random, frame, 5, 1),
  (random, frame) => overwritten(random, frame, 6, 2),
  (random, frame) => overwritten(random, frame, 8, 4),
  // Twice the same.
  (_random, frame) => joined(frame, frame),
];

/** Damages after which nobody knows where the next frame begins. */
const UNALIGNED: readonly Damage[] = [
  (random, bytes) => changed(random, bytes, 0),
  (random, bytes) => overwritten(random, bytes, 0, 4),
  (random, bytes) => bytes.slice(0, random.below(bytes.length)),
  (random, bytes) => {
    const at = random.below(bytes.length);
    return joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(8))));
  },
  (random, bytes) => {
    const at = random.below(bytes.length);
    return joined(bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at));
  },
  (random) => random.bytes(random.below(100)),
];

/** Some bits turned over from `start` on. */
function changed(random: Random, bytes: Uint8Array, start: number): Uint8Array {
  const copy = bytes.slice();
  if (copy.length <= start) return copy;
  for (let i = 1 + random.below(3); i > 0; i--) {
    const at = start + random.below(copy.length - start);
    copy[at] = random.chance(50) ? (copy[at] ?? 0) ^ (1 << random.below(8)) : random.pick([0, 1, 0x7f, 0x80, 0xff]);
  }
  return copy;
}

function overwritten(random: Random, bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copy = bytes.slice();
  for (let i = at; i < at + length && i < copy.length; i++) copy[i] = random.pick([0, 1, 0xff, random.below(256)]);
  return copy;
}

function fixed(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  fixCrc(copy);
  return copy;
}
