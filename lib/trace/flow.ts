import { concatBytes } from "../base/bytes.ts";
import { type FrameHeader, readHeader } from "../wire/codec.ts";
import { type FrameName, frameName, frameRow, HEADER_BYTES } from "../wire/frames.ts";
import { PREFACE } from "../wire/preface.ts";
import { mask } from "./mask.ts";

/** A frame that went by. */
export interface SeenFrame {
  /** As it was on the wire, 16 bytes. */
  readonly header: Uint8Array;
  /** Bytes of the payload that came; fewer than the header says where it was cut off. */
  readonly arrived: number;
  /** What may be kept of the payload: of a message its fields, of DATA its first bytes. */
  readonly kept: Uint8Array;
  /** Content of files was left out of `kept`. */
  readonly elided: boolean;
  readonly malformed: boolean;
}

/** Hears of what goes one way, in order. */
export interface FlowListener {
  /** All that went by, byte by byte, as it may be shown; a number stands for as many zeros. */
  bytes(shown: Uint8Array | number): void;
  /** A whole frame, or one that was cut off, behind its bytes. */
  frame(frame: SeenFrame): void;
  /** So many bytes that are no FSH/1, behind the zeros that stand for them. */
  stray(bytes: number): void;
}

/** Bytes that may still be held for messages on their way, of whatever shares it. */
export interface Held {
  left: number;
}

const NOTHING = new Uint8Array(0);

/** A frame whose payload is on its way. */
interface Current {
  readonly header: FrameHeader;
  readonly bytes: Uint8Array;
  readonly name: FrameName;
  arrived: number;
  /** What has come: all of a message, the first bytes of DATA. */
  readonly parts: Uint8Array[];
  /** Bytes of content that are kept; of a message, bytes that are held. */
  kept: number;
  /** There was no room to hold it. */
  isLost: boolean;
}

/**
 * Follows the bytes that go one way, tells frames from each other, and takes out of them what nobody may see. What is no
 * FSH/1 is only counted. It holds one message at the most, and never more than has come.
 */
export class Flow {
  readonly #listener: FlowListener;
  readonly #content: number;
  readonly #held: Held;
  #state: "preface" | "frames" | "stray" = "preface";
  readonly #head = new Uint8Array(HEADER_BYTES);
  #have = 0;
  #current: Current | null = null;

  /** `content`: bytes of file content that may be shown of each frame. */
  constructor(listener: FlowListener, { content, held }: { readonly content: number; readonly held: Held }) {
    this.#listener = listener;
    this.#content = content;
    this.#held = held;
  }

  /** What goes by is good only until this returns. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.subarray(at);
      if (this.#state === "stray") return this.#takeStray(rest.length);
      at += this.#current ? this.#takePayload(this.#current, rest) : this.#takeHead(rest);
    }
  }

  /** So many bytes of a file went by, which nobody saw. */
  takeUnseen(bytes: number): void {
    if (this.#current === null) return this.#takeStray(bytes);
    this.#show(bytes);
    this.#current.arrived += bytes;
    this.#finishFrame(this.#current);
  }

  /** Nothing more goes this way. */
  end(): void {
    if (this.#current === null) {
      if (this.#have > 0) this.#takeStray(this.#have);
      this.#have = 0;
      return;
    }
    this.#drop(this.#current);
    this.#current = null;
  }

  #takeStray(bytes: number): void {
    this.#show(bytes);
    this.#listener.stray(bytes);
  }

  #show(...shown: (Uint8Array | number)[]): void {
    for (const one of shown) if ((typeof one === "number" ? one : one.length) > 0) this.#listener.bytes(one);
  }

  /** Takes bytes of the preface or of a header. */
  #takeHead(bytes: Uint8Array): number {
    const wanted = this.#state === "preface" ? PREFACE.length : HEADER_BYTES;
    const taken = Math.min(bytes.length, wanted - this.#have);
    this.#head.set(bytes.subarray(0, taken), this.#have);
    this.#have += taken;
    if (this.#state === "preface") this.#checkPreface();
    else if (this.#have === HEADER_BYTES) this.#begin();
    return taken;
  }

  #checkPreface(): void {
    for (let i = 0; i < this.#have; i++) if (this.#head[i] !== PREFACE[i]) return this.#goAstray();
    if (this.#have < PREFACE.length) return;
    this.#listener.bytes(PREFACE);
    this.#have = 0;
    this.#state = "frames";
  }

  #begin(): void {
    const header = readHeader(this.#head, 0);
    const name = frameName(header.type);
    if (name === undefined || header.length > frameRow(name).max) return this.#goAstray();
    this.#have = 0;
    this.#current = { header, bytes: this.#head.slice(), name, arrived: 0, parts: [], kept: 0, isLost: false };
    if (frameRow(name).fields === null) this.#listener.bytes(this.#current.bytes);
    this.#finishFrame(this.#current);
  }

  /** This is no FSH/1 any more: what it is can't be told, and so not be shown. A header is, as that is what was wrong. */
  #goAstray(): void {
    if (this.#state === "preface") this.#takeStray(this.#have);
    else {
      const header = this.#head.slice();
      this.#show(header);
      this.#listener.frame({ header, arrived: 0, kept: NOTHING, elided: false, malformed: true });
    }
    this.#have = 0;
    this.#state = "stray";
  }

  #takePayload(current: Current, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, current.header.length - current.arrived);
    const part = bytes.subarray(0, taken);
    current.arrived += taken;
    if (frameRow(current.name).fields === null) this.#takeContent(current, part);
    else this.#hold(current, part);
    this.#finishFrame(current);
    return taken;
  }

  /** Only what must wait for the rest is copied, and only while there is room. */
  #hold(current: Current, part: Uint8Array): void {
    const waits = current.arrived < current.header.length;
    if (waits && part.length > this.#held.left) current.isLost = true;
    if (current.isLost) return;
    if (waits) {
      this.#held.left -= part.length;
      current.kept += part.length;
    }
    current.parts.push(waits ? part.slice() : part);
  }

  /** Of a message that is not whole, or could not be held, nothing is known but the header. */
  #drop({ name, bytes, arrived, kept }: Current): void {
    if (frameRow(name).fields !== null) {
      this.#held.left += kept;
      this.#show(bytes, arrived);
    }
    this.#listener.frame({ header: bytes, arrived, kept: NOTHING, elided: false, malformed: false });
  }

  #takeContent(current: Current, part: Uint8Array): void {
    const stays = Math.min(part.length, this.#content - current.kept);
    if (stays > 0) current.parts.push(part.slice(0, stays));
    current.kept += stays;
    this.#show(part.subarray(0, stays), part.length - stays);
  }

  #finishFrame(current: Current): void {
    const { header, bytes, name, arrived, parts } = current;
    if (arrived < header.length) return;
    this.#current = null;
    const payload = parts.length === 1 ? parts[0] as Uint8Array : concatBytes(parts);
    if (frameRow(name).fields === null) {
      const elided = payload.length < arrived;
      return this.#listener.frame({ header: bytes, arrived, kept: payload, elided, malformed: false });
    }
    this.#held.left += current.kept;
    if (current.isLost) return this.#drop({ ...current, kept: 0 });
    const { shown, kept, elided, malformed } = mask({ name, flags: header.flags, payload }, this.#content);
    this.#listener.bytes(concatBytes([bytes, shown]));
    this.#listener.frame({ header: bytes, arrived, kept, elided, malformed });
  }
}
