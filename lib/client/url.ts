import { FshError } from "../base/errors.ts";
import { printable } from "../base/bytes.ts";

export const DEFAULT_PORT = 7374;

/**
 * `fsh`: as it is, over TCP; `fshs`: over TLS; `fshq`: over QUIC; `classic`: another, simpler protocol, which has no port
 * of its own.
 */
const SCHEMES = ["fsh", "fshs", "fshq", "classic"] as const;
export type Scheme = typeof SCHEMES[number];

/** Where a server is, and what is meant on it. */
export interface FshUrl {
  readonly scheme: Scheme;
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  /** As it was written, percent-escapes undone; begins with `/`, and keeps a `/` at its end. */
  readonly path: string;
}

/**
 * Reads `fsh://[user@]host[:port]/path`, or the same with `fshs` or `fshq`. In the path `%XX` stands for a byte of UTF-8, so that
 * a name with `?` or `#` needs no more than any other: these have no meaning of their own here. A `%` that begins no escape stands for itself.
 *
 * @throws {FshError} USAGE, naming the text and what is wrong with it
 */
export function parseUrl(text: string): FshUrl {
  const wrong = (detail: string) => new FshError("USAGE", { subject: text, detail });
  const named = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (named === undefined) throw wrong("a URL is fsh://[user@]host[:port]/path");
  const scheme = SCHEMES.find((one) => one === named);
  if (!scheme) {
    throw wrong(
      `${named}:// is not known here; a URL is fsh://[user@]host[:port]/path, fshs:// for TLS, fshq:// for QUIC`,
    );
  }
  const rest = text.slice(`${scheme}://`.length);
  const slash = rest.indexOf("/");
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const at = authority.lastIndexOf("@");
  const user = at === -1 ? "" : unescape(authority.slice(0, at), wrong);
  if (user.includes(":")) throw wrong("a password does not belong into a URL: other programs would see it");
  const parts = /^(\[[0-9a-f:.%a-z]+\]|[^:[\]]*)(?::(.*))?$/i.exec(authority.slice(at + 1));
  if (!parts) throw wrong("an IPv6 address needs brackets, as in fsh://[::1]:7374/");
  const hostname = (parts[1] ?? "").replace(/^\[|\]$/g, "");
  if (hostname === "") throw wrong("the host is missing");
  if (scheme === "classic" && parts[2] === undefined) throw wrong("the port is missing: classic://host:port/name");
  return {
    scheme,
    hostname,
    port: parts[2] === undefined ? DEFAULT_PORT : parsePort(parts[2], wrong),
    user,
    path: slash === -1 ? "/" : unescape(rest.slice(slash), wrong),
  };
}

/** As `parseUrl`; text that begins with `/` means a path on the default server. */
export function parseUrlOrPath(text: string, defaultServer: string | undefined): FshUrl {
  if (!text.startsWith("/")) return parseUrl(text);
  if (!defaultServer) {
    throw new FshError("USAGE", {
      subject: text,
      detail: "which server? Write fsh://host/path, or set FSH_URL=fsh://host",
    });
  }
  const server = parseUrl(defaultServer);
  if (server.path !== "/") {
    throw new FshError("USAGE", { subject: `FSH_URL=${defaultServer}`, detail: "it names a server, without a path" });
  }
  return { ...server, path: unescape(text, (detail) => new FshError("USAGE", { subject: text, detail })) };
}

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/** The URL for people and for copying back into a shell: what would be misread is escaped. */
export function formatUrl(url: FshUrl): string {
  const host = url.hostname.includes(":") ? `[${url.hostname}]` : url.hostname;
  const port = url.port === DEFAULT_PORT && url.scheme !== "classic" ? "" : `:${url.port}`;
  const user = url.user === "" ? "" : `${encodeURIComponent(url.user)}@`;
  return `${url.scheme}://${user}${host}${port}${printable(url.path.replaceAll("%", "%25"))}`;
}

function parsePort(text: string, wrong: (detail: string) => FshError): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port >= 1 && port <= 65535)) throw wrong(`port ${text} is not a number from 1 to 65535`);
  return port;
}

function unescape(text: string, wrong: (detail: string) => FshError): string {
  return text.replace(/(%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      throw wrong(`${escapes} is not UTF-8`);
    }
  });
}
