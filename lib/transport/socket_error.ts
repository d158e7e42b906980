import { FshError } from "../base/errors.ts";
import { formatAddress, type ListenOptions } from "./transport.ts";

/** What went wrong with a socket, told apart: refused, unreachable, reset, given up by the kernel, closed. */
export function connectionError(cause: unknown, subject: string): FshError {
  const text = String(cause);
  if (cause instanceof Deno.errors.ConnectionRefused) return refused(cause, subject);
  if (
    cause instanceof Deno.errors.ConnectionReset || cause instanceof Deno.errors.ConnectionAborted ||
    cause instanceof Deno.errors.BrokenPipe
  ) return new FshError("CONNECTION_RESET", { subject, cause });
  if (cause instanceof Deno.errors.TimedOut) return linkTimeout(cause, subject);
  if (/os error (101|113|65|10051|10065)\b|unreachable|no route/i.test(text)) {
    return new FshError("UNREACHABLE", { subject, cause });
  }
  if (/os error (23|24)\b|too many open files/i.test(text)) return new FshError("TOO_MANY_FILES", { subject, cause });
  return new FshError("CONNECTION_LOST", { subject, cause });
}

/**
 * Why no connection was accepted. CONNECTION_RESET: the next that waited is gone, and so has no peer whose address could be
 * asked for (getpeername(2), ENOTCONN).
 */
export function acceptError(cause: unknown, subject: string): FshError {
  if (cause instanceof Deno.errors.NotConnected) return new FshError("CONNECTION_RESET", { subject, cause });
  return connectionError(cause, subject);
}

/**
 * As `connectionError`, for a connection that was there. The kernel gives it up for the last thing that it heard of the
 * peer, be that a router's or its own "unreachable" (tcp(7), EHOSTUNREACH).
 */
export function brokenError(cause: unknown, subject: string): FshError {
  const error = connectionError(cause, subject);
  return error.error === "UNREACHABLE" ? linkTimeout(cause, subject) : error;
}

/** As `brokenError`, for sendfile(2), whose failures are Errors with a `code`. */
export function sendFileError(cause: unknown, subject: string): FshError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (/^E(TIMEDOUT|HOSTUNREACH|NETUNREACH)$/.test(code)) return linkTimeout(cause, subject);
  return new FshError("CONNECTION_RESET", { subject, cause });
}

function linkTimeout(cause: unknown, subject: string): FshError {
  const detail = "TCP gave up, by --keepalive, --user-timeout or the system's own limits";
  return new FshError("LINK_TIMEOUT", { subject, detail, cause });
}

/** As `connectionError`, for a socket of `node:tls` that connects; null: nothing is wrong with the connection itself. */
export function nodeConnectError(cause: Error, subject: string): FshError | null {
  switch ("code" in cause ? cause.code : undefined) {
    case "ECONNREFUSED":
      return refused(cause, subject);
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
      return new FshError("CONNECTION_RESET", { subject, cause });
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return new FshError("UNREACHABLE", { subject, cause });
    case "ETIMEDOUT":
      return new FshError("CONNECT_TIMEOUT", { subject, cause });
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new FshError("UNKNOWN_HOST", { subject, cause });
    default:
      return null;
  }
}

function refused(cause: unknown, subject: string): FshError {
  return new FshError("REFUSED", { subject, detail: "is a server running there?", cause });
}

/**
 * Why listening failed: ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST, naming the address.
 *
 * `option`: where the port can be changed.
 */
export function listenError(
  cause: unknown,
  { hostname, port, option = "--port" }: ListenOptions & { readonly option?: string },
): FshError {
  const subject = formatAddress(hostname, port);
  if (cause instanceof Deno.errors.AddrInUse) {
    const detail = `stop the other program, or give ${option} another port`;
    return new FshError("ADDRESS_IN_USE", { subject, detail, cause });
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) return new FshError("ADDRESS_UNAVAILABLE", { subject, cause });
  if (cause instanceof Deno.errors.PermissionDenied) {
    const detail = port < 1024 ? `ports below 1024 need root; give ${option} one from 1024 on` : undefined;
    return new FshError("PORT_DENIED", { subject, detail, cause });
  }
  if (/lookup|resolv|Name or service/i.test(String(cause))) {
    return new FshError("UNKNOWN_HOST", { subject: hostname, cause });
  }
  return connectionError(cause, subject);
}
