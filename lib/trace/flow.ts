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

const NOTHING = new Uint8Array(0);

/** A frame whose payload is on its way. */
interface Current {
  readonly header: FrameHeader;
  readonly bytes: Uint8Array;
  readonly name: FrameName;
  arrived: number;
  /** What has come: all of a message, the first bytes of DATA. */
  readonly parts: Uint8Array[];
  kept: number;
}

/**
 * Follows the bytes that go one way, tells frames from each other, and takes out of them what nobody may see. What is no
 * FSH/1 is only counted. It holds one message at the most, and never more than has come.
 */
export class Flow {
  readonly #listener: FlowListener;
  readonly #content: number;
  #state: "preface" | "frames" | "stray" = "preface";
  readonly #head = new Uint8Array(HEADER_BYTES);
  #have = 0;
  #current: Current | null = null;

  /** `content`: bytes of file content that may be shown of each frame. */
  constructor(listener: FlowListener, content: number) {
    this.#listener = listener;
    this.#content = content;
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
    const { name, arrived, bytes } = this.#current;
    if (frameRow(name).fields !== null) this.#show(bytes, arrived);
    this.#listener.frame({ header: bytes, arrived, kept: NOTHING, elided: arrived > 0, malformed: false });
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
    this.#current = { header, bytes: this.#head.slice(), name, arrived: 0, parts: [], kept: 0 };
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
    // Only what must wait for the rest is copied.
    else current.parts.push(current.arrived === current.header.length ? part : part.slice());
    this.#finishFrame(current);
    return taken;
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
    const { shown, kept, elided, malformed } = mask({ name, flags: header.flags, payload }, this.#content);
    this.#listener.bytes(concatBytes([bytes, shown]));
    this.#listener.frame({ header: bytes, arrived, kept, elided, malformed });
  }
}
