import { lookup } from "node:dns/promises";
import { FshError } from "../base/errors.ts";
import { connectionError } from "./socket_error.ts";
import { type ConnectOptions, formatAddress } from "./transport.ts";

/** Milliseconds before the next address is tried beside the one that has not answered (RFC 8305, section 5). */
const ATTEMPT_DELAY = 250;

/**
 * Connects by TCP: tries every address that the host name has, each a little after the one before, and keeps the first
 * that answers.
 *
 * @throws {FshError} UNKNOWN_HOST, REFUSED, UNREACHABLE, CONNECT_TIMEOUT, naming host, port and addresses
 */
export async function dial(options: ConnectOptions): Promise<Deno.TcpConn> {
  const { hostname, port } = options;
  const subject = formatAddress(hostname, port);
  const giveUp = new AbortController();
  const timedOut = () =>
    giveUp.abort(new FshError("CONNECT_TIMEOUT", { subject, detail: `within ${options.timeout / 1000} s` }));
  const timer = options.timeout > 0 ? setTimeout(timedOut, options.timeout) : undefined;
  const interrupted = () => giveUp.abort(new FshError("INTERRUPTED"));
  options.signal?.addEventListener("abort", interrupted);
  try {
    if (options.signal?.aborted) interrupted();
    const addresses = await unlessAborted(resolve(hostname, subject), giveUp.signal);
    return await race(addresses, port, subject, giveUp.signal);
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
function race(addresses: string[], port: number, subject: string, signal: AbortSignal): Promise<Deno.TcpConn> {
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
      Deno.connect({ hostname, port, signal: losers.signal }).then((connection) => {
        if (settled) connection.close();
        else settle(() => resolve(connection));
      }, (cause) => {
        if (settled) return;
        const address = formatAddress(hostname, port);
        failures.push(connectError(cause, address === subject ? subject : `${subject} [${hostname}]`));
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
