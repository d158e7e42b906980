import { lookup } from "node:dns/promises";
import { FshError } from "../base/errors.ts";
import { connectionError } from "./socket_error.ts";
import { type ConnectOptions, formatAddress } from "./transport.ts";

/** Milliseconds before the next address is tried beside the one that has not answered (RFC 8305, section 5). */
const ATTEMPT_DELAY = 250;

/** One attempt to connect, to a numeric address. */
export interface Attempt<T> {
  /** Begins it; where it can't be ended by the signal, its connection is closed once it is there. */
  readonly connect: (address: { hostname: string; port: number; signal: AbortSignal }) => Promise<T>;
  /** What went wrong, as an FshError about `subject`. */
  readonly failure: (cause: unknown, subject: string) => FshError;
  /** What to think of when nobody answers. */
  readonly hint?: string;
}

const BY_TCP: Attempt<Deno.TcpConn> = { connect: (address) => Deno.connect(address), failure: connectError };

/**
 * Connects by TCP, as `dialBy` does it.
 *
 * @throws {FshError} UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT, naming host, port and addresses
 */
export function dial(options: ConnectOptions): Promise<Deno.TcpConn> {
  return dialBy(BY_TCP, options);
}

/**
 * Tries every address that the host name has, each a little after the one before, and keeps the first that answers.
 *
 * @throws {FshError} UNKNOWN_HOST, CONNECT_TIMEOUT, INTERRUPTED and what the attempt fails with
 */
export async function dialBy<T extends { close(): void }>(attempt: Attempt<T>, options: ConnectOptions): Promise<T> {
  const { hostname, port } = options;
  const subject = formatAddress(hostname, port);
  const giveUp = new AbortController();
  const within = `within ${options.timeout / 1000} s`;
  const detail = attempt.hint === undefined ? within : `${within}; ${attempt.hint}`;
  const timedOut = () => giveUp.abort(new FshError("CONNECT_TIMEOUT", { subject, detail }));
  const timer = options.timeout > 0 ? setTimeout(timedOut, options.timeout) : undefined;
  const interrupted = () => giveUp.abort(new FshError("INTERRUPTED"));
  options.signal?.addEventListener("abort", interrupted);
  try {
    if (options.signal?.aborted) interrupted();
    const addresses = await unlessAborted(resolve(hostname, subject), giveUp.signal);
    return await race(attempt, { addresses, port, subject, signal: giveUp.signal });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", interrupted);
  }
}

async function resolve(hostname: string, subject: string): Promise<string[]> {
  try {
    const found = await lookup(hostname, { all: true });
    const addresses = [...new Set(found.map((one) => one.address))];
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    throw new FshError("UNKNOWN_HOST", { subject: hostname, cause });
  }
  throw new FshError("UNKNOWN_HOST", { subject });
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** The first connection that succeeds; the others are closed. With none, the error of the first address. */
function race<T extends { close(): void }>(
  attempt: Attempt<T>,
  { addresses, port, subject, signal }: { addresses: string[]; port: number; subject: string; signal: AbortSignal },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const losers = new AbortController();
    const failures: FshError[] = [];
    let begun = 0;
    let settled = false;
    let delay: ReturnType<typeof setTimeout> | undefined;

    const settle = (end: () => void) => {
      settled = true;
      clearTimeout(delay);
      signal.removeEventListener("abort", aborted);
      losers.abort();
      end();
    };
    const aborted = () => settle(() => reject(signal.reason));
    const next = () => {
      clearTimeout(delay);
      const hostname = addresses[begun];
      if (settled || hostname === undefined) return;
      begun++;
      if (begun < addresses.length) delay = setTimeout(next, ATTEMPT_DELAY);
      attempt.connect({ hostname, port, signal: losers.signal }).then((connection) => {
        if (settled) connection.close();
        else settle(() => resolve(connection));
      }, (cause) => {
        if (settled) return;
        const address = formatAddress(hostname, port);
        failures.push(attempt.failure(cause, address === subject ? subject : `${subject} [${hostname}]`));
        if (failures.length === addresses.length) settle(() => reject(failures[0]));
        else next();
      });
    };
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
    else next();
  });
}

/** As `connectionError`, for an attempt to connect. */
function connectError(cause: unknown, subject: string): FshError {
  if (cause instanceof Deno.errors.TimedOut) return new FshError("CONNECT_TIMEOUT", { subject, cause });
  if (cause instanceof Deno.errors.AddrNotAvailable) return new FshError("UNREACHABLE", { subject, cause });
  return connectionError(cause, subject);
}
