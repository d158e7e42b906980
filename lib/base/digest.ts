import { createHash } from "node:crypto";
import { combineCrc32, crc32 } from "./crc32.ts";
import { FshError } from "./errors.ts";

/** `crc32`: as in zlib, finds accidents and costs nothing; `sha256`: finds malice, too; `none`: nothing is compared. */
export const DIGEST_ALGORITHMS = ["crc32", "sha256", "none"] as const;
export type DigestAlgorithm = typeof DIGEST_ALGORITHMS[number];

/** A digest that grows with the bytes as they move. */
export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** `crc`: the CRC-32 of these bytes, where it is known already. */
  update(bytes: Uint8Array, crc?: number): void;
  /** As `update`, for bytes of which only number and CRC-32 are known; null: not even that. Not for `sha256`. */
  append(length: number, crc: number | null): void;
  /** The digest of what came so far; more may follow. Empty for `none`. */
  peek(): Uint8Array;
  /** May be called once, at the end. Empty for `none`. */
  finish(): Uint8Array;
}

/** @throws {FshError} UNSUPPORTED for an algorithm that this version does not know */
export function createDigest(algorithm: string): Digest {
  if (algorithm === "crc32") {
    let value = 0;
    const bytes = () => {
      const four = new Uint8Array(4);
      new DataView(four.buffer).setUint32(0, value);
      return four;
    };
    return {
      algorithm,
      update(bytes, crc) {
        value = crc === undefined ? crc32(bytes, value) : combineCrc32(value, crc, bytes.length);
      },
      append(length, crc) {
        if (crc === null) throw new FshError("INTERNAL", { detail: "bytes without a CRC-32" });
        value = combineCrc32(value, crc, length);
      },
      peek: bytes,
      finish: bytes,
    };
  }
  if (algorithm === "sha256") {
    const hash = createHash("sha256");
    return {
      algorithm,
      update: (bytes) => void hash.update(bytes),
      append() {
        throw new FshError("INTERNAL", { detail: "sha256 needs the bytes" });
      },
      peek: () => new Uint8Array(hash.copy().digest()),
      finish: () => new Uint8Array(hash.digest()),
    };
  }
  if (algorithm === "none") {
    return {
      algorithm,
      update() {},
      append() {},
      peek: () => new Uint8Array(0),
      finish: () => new Uint8Array(0),
    };
  }
  throw new FshError("UNSUPPORTED", {
    subject: `digest ${algorithm}`,
    detail: `known: ${DIGEST_ALGORITHMS.join(", ")}`,
  });
}
