/**
 * Every failure that fsh can name, in one table. A code, once released, is never used again.
 *
 * `exit` is the exit status of the command line (design: 1 other, 2 usage, 3 connection, 4 not permitted, 5 not found,
 * 6 integrity, 7 some of several, 130 interrupted). `retryable` says that the same request may succeed later without
 * the user changing anything. `message` is fit for strangers: it goes on the wire, so it holds no server path.
 */
export const ERRORS = {
  // 1-19: neither the protocol nor the storage.
  INTERNAL: { code: 1, exit: 1, retryable: false, message: "internal error" },
  USAGE: { code: 2, exit: 2, retryable: false, message: "wrong usage" },
  UNSUPPORTED: { code: 3, exit: 1, retryable: false, message: "not supported by the other side" },
  CANCELLED: { code: 4, exit: 1, retryable: false, message: "cancelled" },
  INTERRUPTED: { code: 5, exit: 130, retryable: true, message: "interrupted" },
  PARTIAL: { code: 6, exit: 7, retryable: false, message: "some of several failed" },
  PLUGIN_FAILED: { code: 7, exit: 1, retryable: false, message: "the plugin can't be used" },
  USER_NOT_CHANGED: { code: 8, exit: 4, retryable: false, message: "can't go on as this user" },

  // 20-49: what a peer sent is not FSH/1.
  BAD_PREFACE: { code: 20, exit: 3, retryable: false, message: "the other side does not speak FSH/1" },
  BAD_VERSION: { code: 21, exit: 3, retryable: false, message: "protocol version not supported" },
  BAD_LENGTH: { code: 22, exit: 1, retryable: false, message: "frame longer than its type allows" },
  UNKNOWN_FRAME: { code: 23, exit: 1, retryable: false, message: "unknown frame type" },
  WRONG_PHASE: { code: 24, exit: 1, retryable: false, message: "frame not allowed in this phase" },
  WRONG_SENDER: { code: 25, exit: 1, retryable: false, message: "frame not allowed from this side" },
  BAD_CRC: { code: 26, exit: 6, retryable: true, message: "frame damaged on the way (CRC-32 differs)" },
  BAD_UTF8: { code: 27, exit: 1, retryable: false, message: "text is not valid UTF-8" },
  TRAILING_BYTES: { code: 28, exit: 1, retryable: false, message: "bytes left over after the last field" },
  SHORT_FRAME: { code: 29, exit: 1, retryable: false, message: "frame ends before its last field" },
  BAD_FIELD: { code: 30, exit: 1, retryable: false, message: "field value out of range" },
  BAD_HEADER: { code: 31, exit: 1, retryable: false, message: "reserved bits of the frame header are set" },
  BAD_STREAM: { code: 32, exit: 1, retryable: false, message: "stream number not allowed here" },
  WINDOW_EXCEEDED: { code: 33, exit: 1, retryable: false, message: "more data than the window allows" },
  FLOOD: { code: 34, exit: 1, retryable: false, message: "more control frames than can be answered" },
  UNEXPECTED_FRAME: { code: 35, exit: 1, retryable: false, message: "frame does not belong to this command" },
  BAD_COMPRESSION: { code: 36, exit: 6, retryable: true, message: "compressed frame damaged, or larger than allowed" },
  LINK_TIMEOUT: { code: 37, exit: 3, retryable: true, message: "the other side's system answers no more" },
  BAD_CLASSIC: { code: 44, exit: 3, retryable: false, message: "the other side does not speak the classic protocol" },
  NOT_IN_CLASSIC: { code: 45, exit: 2, retryable: false, message: "the classic protocol has no way to do this" },
  NOT_CONFIRMED: { code: 48, exit: 1, retryable: false, message: "the classic server does not show what was put" },

  // Of traces, which no peer hears of.
  BAD_TRACE: { code: 42, exit: 1, retryable: false, message: "not a trace that fsh can read" },
  TRACE_FAILED: { code: 43, exit: 1, retryable: false, message: "the trace can't be written" },

  // 50-79: the connection.
  REFUSED: { code: 50, exit: 3, retryable: true, message: "connection refused" },
  UNREACHABLE: { code: 51, exit: 3, retryable: true, message: "host or network unreachable" },
  UNKNOWN_HOST: { code: 52, exit: 3, retryable: true, message: "unknown host" },
  CONNECT_TIMEOUT: { code: 53, exit: 3, retryable: true, message: "no answer to the connection attempt" },
  HANDSHAKE_TIMEOUT: { code: 54, exit: 3, retryable: true, message: "handshake not finished in time" },
  CONNECTION_LOST: { code: 55, exit: 3, retryable: true, message: "connection closed without notice" },
  CONNECTION_RESET: { code: 56, exit: 3, retryable: true, message: "connection reset" },
  PEER_TIMEOUT: { code: 57, exit: 3, retryable: true, message: "no sign of life within the heartbeat's limit" },
  IDLE_TIMEOUT: { code: 58, exit: 3, retryable: true, message: "session idle for too long" },
  STALLED: { code: 59, exit: 3, retryable: true, message: "transfer stalled for too long" },
  GOING_AWAY: { code: 60, exit: 3, retryable: true, message: "the other side is shutting down" },
  ADDRESS_IN_USE: { code: 63, exit: 1, retryable: true, message: "address already in use" },
  ADDRESS_UNAVAILABLE: { code: 64, exit: 1, retryable: false, message: "address not available on this machine" },
  PORT_DENIED: { code: 65, exit: 4, retryable: false, message: "no permission to listen on this port" },
  TLS_FAILED: { code: 66, exit: 3, retryable: false, message: "no encrypted connection" },
  CERTIFICATE_EXPIRED: { code: 67, exit: 4, retryable: false, message: "the server's certificate is not valid now" },
  CERTIFICATE_NAME: { code: 68, exit: 4, retryable: false, message: "the server's certificate is for another name" },
  CERTIFICATE_UNUSABLE: { code: 69, exit: 4, retryable: false, message: "certificate or key not usable" },
  QUIC_MISSING: { code: 70, exit: 1, retryable: false, message: "this runtime has no QUIC" },
  NO_MULTICAST: { code: 77, exit: 3, retryable: true, message: "no network that carries multicast" },
  NOTHING_ANNOUNCED: { code: 78, exit: 5, retryable: true, message: "no server announces itself" },

  // 80-99: rights.
  NOT_PERMITTED: { code: 80, exit: 4, retryable: false, message: "permission denied" },
  AUTH_FAILED: { code: 81, exit: 4, retryable: false, message: "authentication failed" },
  READ_ONLY: { code: 82, exit: 4, retryable: false, message: "the server is read-only" },
  PATH_REJECTED: { code: 83, exit: 4, retryable: false, message: "path not acceptable" },
  CERTIFICATE_CHANGED: {
    code: 84,
    exit: 4,
    retryable: false,
    message: "THE SERVER'S CERTIFICATE IS NOT THE KNOWN ONE",
  },
  CERTIFICATE_UNKNOWN: { code: 85, exit: 4, retryable: false, message: "nobody vouches for the server's certificate" },
  CERTIFICATE_REVOKED: {
    code: 86,
    exit: 4,
    retryable: false,
    message: "the server's certificate is marked as revoked",
  },
  WORKER_LOST: { code: 89, exit: 1, retryable: true, message: "a worker of the server has failed" },

  // fsh doctor.
  NOTHING_TRIED: { code: 94, exit: 1, retryable: false, message: "nothing could be tried out" },

  // 100-129: storage.
  NOT_FOUND: { code: 100, exit: 5, retryable: false, message: "not found" },
  EXISTS: { code: 101, exit: 1, retryable: false, message: "exists already" },
  IS_DIRECTORY: { code: 102, exit: 1, retryable: false, message: "is a folder" },
  NOT_DIRECTORY: { code: 103, exit: 1, retryable: false, message: "is not a folder" },
  NOT_EMPTY: { code: 104, exit: 1, retryable: false, message: "folder is not empty" },
  NOT_REGULAR: { code: 105, exit: 1, retryable: false, message: "is neither a regular file nor a folder" },
  NO_SPACE: { code: 106, exit: 1, retryable: false, message: "no space left on the device" },
  NAME_TOO_LONG: { code: 107, exit: 1, retryable: false, message: "name too long" },
  TOO_LARGE: { code: 108, exit: 1, retryable: false, message: "too large" },
  SOURCE_CHANGED: { code: 109, exit: 6, retryable: true, message: "the file changed while it was being read" },
  BAD_OFFSET: { code: 110, exit: 1, retryable: false, message: "offset lies beyond the end of the file" },
  STORAGE_FAILED: { code: 111, exit: 1, retryable: true, message: "storage failed" },
  READ_ONLY_STORAGE: { code: 112, exit: 4, retryable: false, message: "file system is read-only" },
  TOO_MANY_FILES: { code: 113, exit: 1, retryable: true, message: "too many open files" },
  INTO_ITSELF: { code: 114, exit: 1, retryable: false, message: "a folder cannot be moved into itself" },
  LINK_LOOP: { code: 115, exit: 4, retryable: false, message: "too many symbolic links" },
  LOCKED: { code: 116, exit: 1, retryable: true, message: "is being written by another transfer" },
  TAKEN_OVER: { code: 117, exit: 1, retryable: false, message: "continued by another transfer of the same file" },
  NOT_LINK: { code: 118, exit: 1, retryable: false, message: "is no symbolic link" },
  HARD_LINKED: { code: 119, exit: 4, retryable: false, message: "has more than one hard link" },
  TOO_MANY_NAMES: { code: 122, exit: 1, retryable: false, message: "a listing that does not end" },

  // 130-139: integrity.
  DIGEST_MISMATCH: { code: 130, exit: 6, retryable: true, message: "digest differs" },
  SIZE_MISMATCH: { code: 131, exit: 6, retryable: true, message: "size differs from what was announced" },

  // What a server holds its clients to; the codes are out of the ranges above.
  NO_MEMORY: { code: 46, exit: 3, retryable: true, message: "the server is short of memory" },
  HOLDS_MEMORY: { code: 47, exit: 3, retryable: true, message: "too slow while the server's memory was short" },
  TOO_MANY_SESSIONS: { code: 61, exit: 3, retryable: true, message: "too many sessions" },
  TOO_MANY_STREAMS: { code: 62, exit: 1, retryable: true, message: "too many requests at once in one session" },
  TOO_MANY_FROM_ADDRESS: { code: 73, exit: 3, retryable: true, message: "too many sessions from this address" },
  TOO_MANY_OF_USER: { code: 74, exit: 3, retryable: true, message: "too many sessions of this user" },
  TOO_MANY_HANDSHAKES: { code: 75, exit: 3, retryable: true, message: "too many clients are coming in at once" },
  TOO_SLOW: { code: 76, exit: 3, retryable: true, message: "transfer slower than the server waits for" },
  REQUEST_TOO_LARGE: {
    code: 87,
    exit: 1,
    retryable: false,
    message: "the request names more files than the server takes",
  },
  LISTING_TOO_LARGE: { code: 88, exit: 1, retryable: false, message: "the listing is longer than the server gives" },
  PUT_TOO_LARGE: { code: 125, exit: 1, retryable: false, message: "the file is larger than the server takes" },
  DISK_RESERVED: { code: 126, exit: 1, retryable: false, message: "the server keeps the rest of its disk free" },

  // The operator and a running server; the codes are out of the ranges above, too.
  KICKED: { code: 39, exit: 3, retryable: false, message: "the server's operator has ended the session" },
  NO_SERVER: { code: 40, exit: 3, retryable: false, message: "no running server can be reached" },
  BAD_REQUEST: { code: 41, exit: 1, retryable: false, message: "no request that the control socket knows" },
} as const satisfies Record<string, ErrorRow>;

interface ErrorRow {
  readonly code: number;
  readonly exit: number;
  readonly retryable: boolean;
  readonly message: string;
}

export type ErrorName = keyof typeof ERRORS;

const BY_CODE = new Map<number, ErrorName>(
  Object.entries(ERRORS).map(([name, row]) => [row.code, name as ErrorName]),
);

/** The name that belongs to a code from the wire; INTERNAL for one that this version does not know. */
export function errorName(code: number): ErrorName {
  return BY_CODE.get(code) ?? "INTERNAL";
}

export interface FshErrorOptions {
  /** What the failure is about, fit for strangers: a virtual path, a host and port, a number. Comes before the message. */
  readonly subject?: string | undefined;
  /** What happened beyond the table's message, or what to do, fit for strangers. Comes after the message. */
  readonly detail?: string | undefined;
  /** For the log of this side only; never sent. */
  readonly cause?: unknown;
  /** True when the peer reported the failure rather than this side. */
  readonly remote?: boolean;
}

/** An error of the ERRORS table. Its message reads `subject: message (detail)`. */
export class FshError extends Error {
  override readonly name = "FshError";
  readonly error: ErrorName;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
  readonly remote: boolean;

  constructor(error: ErrorName, options: FshErrorOptions = {}) {
    const { subject, detail, cause, remote = false } = options;
    const message = ERRORS[error].message;
    super(
      (subject === undefined ? "" : `${subject}: `) + message + (detail === undefined ? "" : ` (${detail})`),
      cause === undefined ? undefined : { cause },
    );
    this.error = error;
    this.subject = subject;
    this.detail = detail;
    this.remote = remote;
  }

  get code(): number {
    return ERRORS[this.error].code;
  }

  get exit(): number {
    return ERRORS[this.error].exit;
  }

  get retryable(): boolean {
    return ERRORS[this.error].retryable;
  }

  /** The same error, naming what it is about; an error that names something already stays as it is. */
  about(subject: string): FshError {
    if (this.subject !== undefined) return this;
    return new FshError(this.error, { subject, detail: this.detail, cause: this.cause, remote: this.remote });
  }
}

/** Whatever was thrown, as an FshError; a stranger's exception becomes INTERNAL with the original as its cause. */
export function toFshError(thrown: unknown): FshError {
  if (thrown instanceof FshError) return thrown;
  return new FshError("INTERNAL", { detail: thrown instanceof Error ? thrown.name : String(thrown), cause: thrown });
}

/** True for an FshError of one of the given names. */
export function isError(thrown: unknown, ...names: ErrorName[]): thrown is FshError {
  return thrown instanceof FshError && names.includes(thrown.error);
}
