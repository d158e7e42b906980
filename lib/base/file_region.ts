/** A piece of an open file, for the system to send by itself. */
export interface FileRegion {
  /** Of the system; it stays open until the piece was sent. */
  readonly descriptor: number;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** CRC-32 of these bytes; null: not known. */
  readonly crc: number | null;
}
