import type { DigestAlgorithm } from "../base/digest.ts";
import { ERRORS, FshError, toFshError } from "../base/errors.ts";

/** What a transfer tells while it runs. */
export interface TransferEvents {
  /** A file begins; `size` is null where it is not known. */
  begin(path: string, size: number | null): void;
  /** Bytes moved since the last call. */
  moved(bytes: number): void;
  /** A file is in place. */
  done(path: string): void;
  /** Left out, and why: a symbolic link, a special file. */
  skipped(path: string, why: string): void;
  /** One of several failed; the others go on. */
  failed(path: string, error: FshError): void;
}

export interface TransferOptions {
  readonly events: TransferEvents;
  readonly signal?: AbortSignal | undefined;
  readonly algorithm?: DigestAlgorithm | undefined;
  /** Refuse rather than replace. */
  readonly noReplace?: boolean;
  /** Keep permission bits. */
  readonly preserve?: boolean;
}

/** Files of a tree that are under way at once. */
export const FILES_AT_ONCE = 8;

/** One file's failure goes to the events, so that the others go on; a lost connection or Ctrl-C ends them all. */
export async function oneOfSeveral(path: string, events: TransferEvents, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const error = toFshError(thrown);
    if (ERRORS[error.error].exit === 3 || error.error === "INTERRUPTED") throw error;
    events.failed(path, error);
  }
}
