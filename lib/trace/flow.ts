import { frameBuffers } from "../base/buffer_pool.ts";
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
/** From this many bytes on, what is held is in a buffer of the pool. */
const LARGE = 64 * 1024;

/** A frame whose payload is on its way. */
interface Current {
  readonly header: FrameHeader;
  readonly bytes: Uint8Array;
  readonly name: FrameName;
  /** Bytes at the beginning of the payload that are looked at: all of a message, some of DATA. */
  readonly wanted: number;
  arrived: number;
  /** Holds them as they come; null: none came yet, or there was no room. */
  store: Uint8Array<ArrayBuffer> | null;
  kept: number;
  isLost: boolean;
}

/**
 * Follows the bytes that go one way, tells frames from each other, and takes out of them what nobody may see. What is no
 * FSH/1 is only counted. What it holds of a frame that is on its way is taken from `held`.
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
    const current = this.#current;
    this.#show(bytes);
    current.arrived += bytes;
    if (current.arrived >= current.header.length) this.#finish(current, null);
  }

  /** Nothing more goes this way. */
  end(): void {
    if (this.#current === null) {
      if (this.#have > 0) this.#takeStray(this.#have);
      this.#have = 0;
      return;
    }
    const current = this.#current;
    this.#current = null;
    this.#drop(current);
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
    const isData = frameRow(name).fields === null;
    const wanted = isData ? Math.min(header.length, this.#content) : header.length;
    const bytes = this.#head.slice();
    this.#current = { header, bytes, name, wanted, arrived: 0, store: null, kept: 0, isLost: false };
    if (isData) this.#show(bytes);
    if (header.length === 0) this.#finish(this.#current, NOTHING);
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
    const { header, name, wanted, arrived } = current;
    const taken = Math.min(bytes.length, header.length - arrived);
    const part = bytes.subarray(0, taken);
    const looked = part.subarray(0, Math.max(0, wanted - arrived));
    const isWhole = taken === header.length;
    current.arrived += taken;
    // Only what must wait for the rest is copied.
    if (!isWhole && looked.length > 0) this.#hold(current, looked);
    if (frameRow(name).fields === null) this.#show(looked, taken - looked.length);
    if (current.arrived === header.length) this.#finish(current, isWhole ? looked : null);
    return taken;
  }

  #hold(current: Current, part: Uint8Array): void {
    const { wanted } = current;
    if (current.store === null && !current.isLost) {
      const size = wanted > LARGE ? frameBuffers.size : wanted;
      if (size > this.#held.left) current.isLost = true;
      else {
        this.#held.left -= size;
        current.store = size === frameBuffers.size ? frameBuffers.take() : new Uint8Array(size);
      }
    }
    if (current.isLost) return;
    current.store?.set(part, current.kept);
    current.kept += part.length;
  }

  #free({ store }: Current): void {
    this.#held.left += store?.length ?? 0;
    if (store?.length === frameBuffers.size) frameBuffers.give(store);
  }

  /** Of a message that is not whole, or could not be held, nothing is known but the header. */
  #drop(current: Current): void {
    const { name, bytes, arrived } = current;
    this.#free(current);
    if (frameRow(name).fields !== null) this.#show(bytes, arrived);
    this.#listener.frame({ header: bytes, arrived, kept: NOTHING, elided: false, malformed: false });
  }

  /** `whole`: what is looked at, where it came in one piece. */
  #finish(current: Current, whole: Uint8Array | null): void {
    const { header, bytes, name, arrived, store, kept: held, isLost } = current;
    this.#current = null;
    const looked = whole ?? store?.subarray(0, held) ?? NOTHING;
    if (frameRow(name).fields === null) {
      this.#listener.frame({ header: bytes, arrived, kept: looked, elided: looked.length < arrived, malformed: false });
    } else if (isLost) return this.#drop(current);
    else {
      const { shown, kept, elided, malformed } = mask({ name, flags: header.flags, payload: looked }, this.#content);
      this.#listener.bytes(concatBytes([bytes, shown]));
      this.#listener.frame({ header: bytes, arrived, kept, elided, malformed });
    }
    this.#free(current);
  }
}
