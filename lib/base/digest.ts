import { createHash } from "node:crypto";
import { equalBytes } from "./bytes.ts";
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

/** The digest of bytes that are all there. */
export function digestOf(bytes: Uint8Array, algorithm: string): Uint8Array {
  if (algorithm === "crc32") return crcBytes(crc32(bytes));
  const digest = createDigest(algorithm);
  digest.update(bytes);
  return digest.finish();
}

/** Whether bytes have this digest. */
export function hasDigest(bytes: Uint8Array, algorithm: string, digest: Uint8Array): boolean {
  if (algorithm !== "crc32") return equalBytes(digestOf(bytes, algorithm), digest);
  // Without making a digest, as there may be one to check for every few bytes.
  const [a = 0, b = 0, c = 0, d = 0] = digest;
  return digest.length === 4 && crc32(bytes) === ((a << 24 | b << 16 | c << 8 | d) >>> 0);
}

function crcBytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** @throws {FshError} UNSUPPORTED for an algorithm that this version does not know */
export function createDigest(algorithm: string): Digest {
  if (algorithm === "crc32") {
    let value = 0;
    const bytes = () => crcBytes(value);
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
