import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { ProxyOptions } from "./proxy.ts";

/** Random bytes with one marker in their middle; `mark` is the marker. */
export function markedBytes(size: number, mark: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(randomBytes(size));
  // At no round place, so that no frame begins within it.
  bytes.set(mark, (size >> 1) + 3);
  return bytes;
}

/** Flips a bit of the marker's last byte when it passes a proxy: of a payload, never of a header. Once only. */
export class Flip {
  readonly mark: Uint8Array<ArrayBuffer> = new Uint8Array(randomBytes(16));
  #tail: Uint8Array = new Uint8Array();
  #done = false;

  constructor(readonly towards: "client" | "server") {}

  get done(): boolean {
    return this.#done;
  }

  /** For a proxy's options. */
  readonly change: NonNullable<ProxyOptions["change"]> = (piece, _at, towards) => {
    if (this.#done || towards !== this.towards) return;
    const seen = Buffer.concat([this.#tail, piece]);
    const found = seen.indexOf(this.mark);
    if (found < 0) {
      this.#tail = seen.subarray(-(this.mark.length - 1));
      return;
    }
    const last = found + this.mark.length - 1 - this.#tail.length;
    piece[last] = (piece[last] ?? 0) ^ 0x10;
    this.#done = true;
  };
}

/** Changes one byte of a file in place. */
export async function flipByte(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  if (await file.read(byte) !== 1) throw new Error(`${path} has no byte ${at}`);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}
