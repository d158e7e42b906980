import { FshError } from "../base/errors.ts";
import type { FileRegion } from "../base/file_region.ts";
import { type Connection, writeAll } from "./transport.ts";

export interface WholeRegion {
  readonly region: FileRegion;
  /** Hears of each write. */
  readonly moved?: ((bytes: number) => void) | undefined;
}

/**
 * Writes bytes and a piece of a file behind them, as `writeWithRegion` does, for protocols without a digest: what has
 * become shorter is not filled up, as nobody would notice.
 *
 * @throws {FshError} SOURCE_CHANGED, with a part of it written
 */
export async function writeWholeRegion(
  connection: Connection,
  bytes: Uint8Array,
  { region, moved }: WholeRegion,
): Promise<void> {
  connection.cork?.(true);
  try {
    await writeAll(connection, bytes, moved);
    for (let at = 0; at < region.length;) {
      const written = await connection.writeFile?.(region, at) ?? 0;
      if (written === 0) throw new FshError("SOURCE_CHANGED", { detail: "it became shorter" });
      at += written;
      moved?.(written);
    }
  } finally {
    connection.cork?.(false);
  }
}
