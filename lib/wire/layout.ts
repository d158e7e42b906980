/** How a kind of field lies on the wire, as data: what the dissector is made from, and what finds secrets in a payload. */
export type Layout = NumberLayout | TextLayout | BlockLayout | ListLayout | RecordLayout;

export interface NumberLayout {
  readonly kind: "number";
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed?: true;
  /** Smallest (of signed ones the negative of it) and largest value are within this, where it is less than all. */
  readonly most?: number;
  /** All ones, of signed ones the smallest value, means that it is not known. */
  readonly none?: true;
  /** What the values are called: `errors` for codes of the errors table, or names by value. */
  readonly names?: "errors" | readonly string[];
  readonly as?: "octal" | "time";
}

/** A length and as many bytes of UTF-8. */
export interface TextLayout {
  readonly kind: "text";
  readonly most: number;
}

/** A length of so many bytes, and as many bytes. */
export interface BlockLayout {
  readonly kind: "block";
  readonly length: 2 | 4;
  readonly most: number;
  /** `secret`: never shown or kept anywhere; `content`: bytes of a file. */
  readonly holds?: "secret" | "content";
  /** It is empty or as long as this number of the same record says. */
  readonly sizedBy?: string;
}

/** A count of so many bytes, and as many items. */
export interface ListLayout {
  readonly kind: "list";
  readonly count: 1 | 2;
  readonly most: number;
  readonly item: Layout;
}

export interface RecordLayout {
  readonly kind: "record";
  readonly fields: Readonly<Record<string, Layout>>;
}

/** Bytes of a payload, from `start` up to but without `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Bytes of the length that stands before it. */
  readonly length: 2 | 4;
  readonly holds: "secret" | "content";
}

/** Where a payload holds secrets and content; null: it is not as its fields lie, so nothing is known of it. */
export function markedSpans(payload: Uint8Array, fields: readonly Layout[]): readonly Span[] | null {
  const reader = new LayoutReader(payload);
  return fields.every((field) => reader.pass(field)) && reader.at === payload.length ? reader.spans : null;
}

/** Whether anything of this layout is a secret. */
export function holdsSecret(layout: Layout): boolean {
  if (layout.kind === "list") return holdsSecret(layout.item);
  if (layout.kind === "record") return Object.values(layout.fields).some(holdsSecret);
  return layout.kind === "block" && layout.holds === "secret";
}

/** Goes over a payload without taking values out. */
class LayoutReader {
  readonly spans: Span[] = [];
  at = 0;
  readonly #view: DataView;

  constructor(payload: Uint8Array) {
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  /** Whether there was such a field. */
  pass(layout: Layout): boolean {
    switch (layout.kind) {
      case "number":
        return this.#skip(layout.bytes);
      case "text":
        return this.#block(2, layout.most);
      case "block":
        return this.#block(layout.length, layout.most, layout.holds);
      case "record":
        return Object.values(layout.fields).every((field) => this.pass(field));
      case "list": {
        const count = this.#number(layout.count);
        if (count === null || count > layout.most) return false;
        for (let i = 0; i < count; i++) if (!this.pass(layout.item)) return false;
        return true;
      }
    }
  }

  #block(length: 2 | 4, most: number, holds?: "secret" | "content"): boolean {
    const bytes = this.#number(length);
    const start = this.at;
    if (bytes === null || bytes > most || !this.#skip(bytes)) return false;
    if (holds && bytes > 0) this.spans.push({ start, end: this.at, length, holds });
    return true;
  }

  #number(bytes: 1 | 2 | 4): number | null {
    const { at } = this;
    if (!this.#skip(bytes)) return null;
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skip(bytes: number): boolean {
    if (bytes > this.#view.byteLength - this.at) return false;
    this.at += bytes;
    return true;
  }
}
