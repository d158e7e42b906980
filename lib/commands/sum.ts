import { equalBytes, toHex } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";

/** What was moved. */
export interface Sum {
  readonly size: number;
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

/** Called with the bytes moved since the last call. */
export type Progress = (bytes: number) => void;

/** `algorithm:hex`; undefined where none was made. */
export function digestText({ algorithm, digest }: Omit<Sum, "size">): string | undefined {
  return digest.length === 0 ? undefined : `${algorithm}:${toHex(digest)}`;
}

/** @throws {FshError} SIZE_MISMATCH, DIGEST_MISMATCH */
export function compareSums(own: Sum, theirs: Sum, subject: string): void {
  if (own.size !== theirs.size) {
    throw new FshError("SIZE_MISMATCH", { subject, detail: `${own.size} bytes here, ${theirs.size} there` });
  }
  if (own.algorithm !== theirs.algorithm || !equalBytes(own.digest, theirs.digest)) {
    throw new FshError("DIGEST_MISMATCH", {
      subject,
      detail: `${own.algorithm} ${toHex(own.digest)} here, ${theirs.algorithm} ${toHex(theirs.digest)} there`,
    });
  }
}
