import { clipUtf8 } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { FshError } from "../base/errors.ts";
import { type Connection, writeAll } from "../transport/transport.ts";
import { encodeMessage } from "../wire/codec.ts";
import { PREFACE } from "../wire/preface.ts";

/** How long a refused client may take to read why, in milliseconds. */
const PATIENCE = 1000;
/** Refused clients that are told why at once; in a flood the others are cut off without a word. */
const MOST = 128;
/** Bytes of a refused client's that are thrown away before it is cut off. */
const WASTE = 64 * 1024;

/** Tells clients that are not let in why, in FSH/1, at the least cost: no session, one small buffer, a short deadline. */
export class Farewell {
  readonly #clock: Clock;
  readonly #going = new Set<Connection>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Takes the connection over. */
  tell(connection: Connection, error: FshError): void {
    if (this.#going.size >= MOST) return connection.abort();
    this.#going.add(connection);
    const cancel = this.#clock.after(PATIENCE, () => connection.close());
    this.#say(connection, error).catch(() => {}).finally(() => {
      cancel();
      this.#going.delete(connection);
      connection.close();
    });
  }

  close(): void {
    for (const connection of this.#going) connection.abort();
  }

  async #say(connection: Connection, error: FshError): Promise<void> {
    const words = encodeMessage("GOAWAY", 0, { code: error.code, message: clipUtf8(error.detail ?? "", 1024) });
    const bytes = new Uint8Array(PREFACE.length + words.length);
    bytes.set(PREFACE);
    bytes.set(words, PREFACE.length);
    await writeAll(connection, bytes);
    await connection.closeWrite();
    // What it has sent is read, or closing would be a reset that takes the words away (RFC 2525, section 2.17).
    const waste = new Uint8Array(1024);
    for (let left = WASTE; left > 0;) {
      const read = await connection.read(waste);
      if (read === null) return;
      left -= read;
    }
  }
}
