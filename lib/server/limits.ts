import type { ErrorName, FshError } from "../base/errors.ts";

/** How the value of a limit is written: a number, bytes, bytes per second, milliseconds, or start:rate:full. */
export type LimitKind = "count" | "size" | "rate" | "time" | "startups";

export interface LimitRow {
  /** Of `fsh serve`, without its dashes. */
  readonly option: string;
  readonly kind: LimitKind;
  /** As the option takes it; "auto": see `help`. */
  readonly default: string;
  /** Least number that makes sense; "off" is always allowed, but for `always`. */
  readonly min?: number;
  /** Can't be switched off. */
  readonly always?: true;
  /** The option is not made from this table: sessions have it on either side, or it is more than a limit. */
  readonly shared?: true;
  /** What whoever hits it is told; null: nobody is. */
  readonly error: ErrorName | null;
  readonly help: string;
}

/**
 * Every limit of a server, in one table: options, their help, checks, metrics and the table of README.md come from it.
 *
 * Why these defaults: sshd lets 10 clients be unauthenticated before it begins to refuse, and 100 at the most
 * (sshd_config(5), MaxStartups 10:30:100); each of them is a process of its own for up to 120 s. Here one is a socket and
 * some kilobytes for 10 s, so it is a hundred times as many at first and 40 times at the most. One address or user may take
 * a tenth of all sessions. `fsh` itself names up to 256 files in a request and opens up to 64 sessions (`--jobs`).
 */
export const LIMITS = {
  sessions: {
    option: "max-sessions",
    kind: "count",
    default: "10000",
    min: 1,
    always: true,
    error: "TOO_MANY_SESSIONS",
    help: "sessions at once",
  },
  perAddress: {
    option: "max-per-address",
    kind: "count",
    default: "1000",
    min: 1,
    error: "TOO_MANY_FROM_ADDRESS",
    help: "sessions from one address, of IPv6 one /64; this machine's own only if given; off",
  },
  perUser: {
    option: "max-per-user",
    kind: "count",
    default: "1000",
    min: 1,
    error: "TOO_MANY_OF_USER",
    help: "sessions of one user who has proved to be that; off",
  },
  startups: {
    option: "max-startups",
    kind: "startups",
    default: "1000:30:4000",
    error: "TOO_MANY_HANDSHAKES",
    help: "clients that nobody was let in for yet: from START on RATE % are refused, more and more up to FULL; off",
  },
  handshake: {
    option: "handshake-timeout",
    kind: "time",
    default: "10s",
    shared: true,
    error: "HANDSHAKE_TIMEOUT",
    help: "for a client to come in",
  },
  streams: {
    option: "max-streams",
    kind: "count",
    default: "512",
    min: 1,
    always: true,
    error: "TOO_MANY_STREAMS",
    help: "requests at once in one session",
  },
  memory: {
    option: "max-memory",
    kind: "size",
    default: "auto",
    shared: true,
    error: "NO_MEMORY",
    help: "memory that the server may take, whatever clients do; auto: a quarter of the machine's, 2 GiB at the most",
  },
  files: {
    option: "max-open-files",
    kind: "count",
    default: "auto",
    min: 1,
    error: "TOO_MANY_FILES",
    help: "files being read or written at once; auto: a quarter of the descriptors that the system allows; off",
  },
  request: {
    option: "max-request",
    kind: "count",
    default: "1024",
    min: 256,
    error: "REQUEST_TOO_LARGE",
    help: "files named in one request; off",
  },
  listing: {
    option: "max-listing",
    kind: "count",
    default: "10000000",
    min: 1,
    error: "LISTING_TOO_LARGE",
    help: "entries of one listing, recursive or not; off",
  },
  put: {
    option: "max-put",
    kind: "size",
    default: "off",
    error: "PUT_TOO_LARGE",
    help: "bytes of one file that is put; off",
  },
  keepFree: {
    option: "keep-free",
    kind: "size",
    default: "off",
    error: "DISK_RESERVED",
    help: "free disk that puts leave alone; off",
  },
  minRate: {
    option: "min-rate",
    kind: "rate",
    default: "10",
    error: "TOO_SLOW",
    help: "bytes per second, over a minute, below which a transfer that only waits for the client ends; off",
  },
  logLines: {
    option: "max-log-lines",
    kind: "count",
    default: "120",
    min: 1,
    error: null,
    help: "lines per minute about one address, errors aside; this machine's own only if given; off",
  },
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof LIMITS;
export const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

/** From `start` clients on `rate` percent are refused, growing evenly to all of them at `full`. */
export interface Startups {
  readonly start: number;
  readonly rate: number;
  readonly full: number;
}

/** A number that holds for each address. */
export interface PerAddress {
  readonly most: number;
  /** Whether clients on this machine count as well. */
  readonly local: boolean;
}

/** What a server keeps to beyond its other options; Infinity, or 0 for `keepFree` and `minRate`: no such limit. */
export interface Bounds {
  readonly perAddress: PerAddress;
  readonly perUser: number;
  readonly startups: Startups | null;
  readonly files: number;
  readonly request: number;
  readonly listing: number;
  /** Bytes. */
  readonly put: number;
  /** Bytes. */
  readonly keepFree: number;
  /** Bytes per second. */
  readonly minRate: number;
  /** Per minute. */
  readonly logLines: PerAddress;
}

/** No limits at all: a program that embeds a server sets those that it wants. */
export const UNBOUNDED: Bounds = {
  perAddress: { most: Infinity, local: false },
  perUser: Infinity,
  startups: null,
  files: Infinity,
  request: Infinity,
  listing: Infinity,
  put: Infinity,
  keepFree: 0,
  minRate: 0,
  logLines: { most: Infinity, local: false },
};

const BY_ERROR = new Map<ErrorName, LimitName>(
  LIMIT_NAMES.flatMap((name) => LIMITS[name].error === null ? [] : [[LIMITS[name].error, name]]),
);

/** The limit that an error of this side stands for, if any. */
export function limitOf(error: FshError): LimitName | undefined {
  return error.remote ? undefined : BY_ERROR.get(error.error);
}
