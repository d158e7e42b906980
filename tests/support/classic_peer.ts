import { concatBytes } from "../../lib/base/bytes.ts";

// Written from the description of the wire alone: nothing of lib/wire is used, so that both can't be wrong alike.

/** How a peer cuts what it has to say into writes. */
export type Cut = "whole" | "bytes" | ((left: number) => number);

/** A name on the wire: 256 bytes, NUL-terminated. */
export function nameField(name: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const field = new Uint8Array(256);
  field.set(typeof name === "string" ? new TextEncoder().encode(name) : name);
  return field;
}

export function sizeField(size: number | bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  return bytes;
}

export const LIST = Uint8Array.of(1);
export const PING = Uint8Array.of(4);

export function getCommand(name: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return concatBytes([Uint8Array.of(2), nameField(name)]);
}

export function putCommand(name: string | Uint8Array, content: Uint8Array): Uint8Array<ArrayBuffer> {
  return concatBytes([Uint8Array.of(3), nameField(name), sizeField(content.length), content]);
}

/** A client of the classic protocol. */
export class ClassicPeer implements Disposable {
  readonly conn: Deno.TcpConn;
  cut: Cut = "whole";
  #held = new Uint8Array(0);
  #closed = false;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
  }

  static async connect(port: number): Promise<ClassicPeer> {
    return new ClassicPeer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(...parts: Uint8Array[]): Promise<void> {
    const bytes = concatBytes(parts);
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at;
      const piece = this.cut === "whole" ? left : this.cut === "bytes" ? 1 : Math.min(left, this.cut(left));
      const end = at + piece;
      while (at < end) at += await this.conn.write(bytes.subarray(at, end));
    }
  }

  /** Exactly so many bytes; throws where the server closes before. */
  async take(bytes: number): Promise<Uint8Array> {
    const whole = new Uint8Array(bytes);
    let at = Math.min(bytes, this.#held.length);
    whole.set(this.#held.subarray(0, at));
    this.#held = this.#held.slice(at);
    while (at < bytes) {
      const read = await this.conn.read(whole.subarray(at));
      if (read === null) throw new Error(`closed after ${at} of ${bytes} bytes`);
      at += read;
    }
    return whole;
  }

  async takeSize(): Promise<number> {
    return Number(new DataView((await this.take(8)).buffer).getBigUint64(0, true));
  }

  /** The answer to a GET; null: not found. */
  async takeFile(): Promise<Uint8Array | null> {
    const size = await this.takeSize();
    return size === 0 ? null : await this.take(size);
  }

  /** The answer to a LIST, sorted. */
  async takeNames(): Promise<string[]> {
    const count = new DataView((await this.take(4)).buffer).getUint32(0, true);
    const names: string[] = [];
    for (let i = 0; i < count; i++) {
      const field = await this.take(256);
      names.push(new TextDecoder("utf-8", { fatal: true }).decode(field.subarray(0, field.indexOf(0))));
    }
    return names.sort();
  }

  async takePong(): Promise<void> {
    const [byte] = await this.take(1);
    if (byte !== 4) throw new Error(`${byte} in answer to a PING`);
  }

  /** Resolves once the server has closed; how it did, and how many bytes came before. */
  async takeEnd(): Promise<{ how: "closed" | "reset"; bytes: number }> {
    const buffer = new Uint8Array(65536);
    let bytes = this.#held.length;
    try {
      for (let read; (read = await this.conn.read(buffer)) !== null;) bytes += read;
      return { how: "closed", bytes };
    } catch {
      return { how: "reset", bytes };
    }
  }

  /** Whether the server closes without a word more. */
  async isClosed(): Promise<boolean> {
    return (await this.takeEnd()).bytes === 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The port of `fsh serve --classic`, from what it printed. */
export function classicPort(out: string): number | undefined {
  const port = /classic:\/\/[^\s"]*:(\d+)\//.exec(out)?.[1];
  return port === undefined ? undefined : Number(port);
}
