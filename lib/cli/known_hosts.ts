import { join } from "@std/path";
import { Certificate } from "../base/certificate.ts";
import { FshError } from "../base/errors.ts";
import { printable } from "../base/bytes.ts";
import type { KnownServers, ServerName } from "../client/tls_trust.ts";
import { formatAddress } from "../transport/transport.ts";
import { readText, replaceFile } from "../hooks/replace_file.ts";
import { configFile, configFolder } from "./config_folder.ts";

const NAME = "known_hosts";
const REVOKED = "@revoked";

/** One line: whose certificate it is, and the certificate itself; a revoked one may be told by its fingerprint alone. */
interface KnownLine {
  readonly revoked: boolean;
  /** In lower case; `*` in a revoked one: everybody. */
  readonly hostname: string;
  /** `*` in a revoked one: every port. */
  readonly port: string;
  readonly fingerprint: string;
  readonly certificate: Certificate | null;
}

/**
 * The certificates that the user has come to trust: `known_hosts` in the configuration folder, a line per server with
 * host, port, fingerprint and the certificate in base64, between blanks. Lines that begin with `#` are comments, those
 * that begin with `@revoked` name a certificate that will not do any more. The whole file is replaced at a change.
 */
export class KnownHosts implements KnownServers {
  /** @throws {FshError} USAGE, naming file and line: one that can't be read; NOT_PERMITTED, STORAGE_FAILED */
  async find(server: ServerName): Promise<{ known: Certificate | null; revoked: ReadonlySet<string> }> {
    const folder = configFolder();
    if (folder === null) return { known: null, revoked: new Set() };
    const path = join(folder, NAME);
    const lines = parseKnownHosts(await readText(path) ?? "", path).filter((line) => line && isFor(line, server));
    const revoked = new Set(lines.flatMap((line) => line?.revoked ? [line.fingerprint] : []));
    return { known: lines.find((line) => line && !line.revoked)?.certificate ?? null, revoked };
  }

  async remember(server: ServerName, certificate: Certificate): Promise<void> {
    const path = await configFile(NAME, "use --fingerprint");
    await replaceFile(path, (old) => {
      const text = old ?? "";
      for (const line of parseKnownHosts(text, path)) {
        if (!line || line.revoked || !isFor(line, server)) continue;
        if (line.fingerprint === certificate.fingerprint) return text;
        throw new FshError("CERTIFICATE_CHANGED", {
          subject: formatAddress(server.hostname, server.port),
          detail: `another program has remembered ${line.fingerprint} meanwhile; this is ${certificate.fingerprint}`,
        });
      }
      const { hostname, port } = server;
      const base64 = certificate.der.toBase64();
      const line = [hostname.toLowerCase(), port, certificate.fingerprint, base64].join(" ");
      return (text === "" || text.endsWith("\n") ? text : `${text}\n`) + line + "\n";
    });
  }

  advice({ hostname, port }: ServerName): string {
    return `If it is right: fsh forget ${printable(formatAddress(hostname, port))}`;
  }

  /** Forgets a server; without a port, at all of its ports. Revoked ones stay. Answers how many lines went. */
  async forget(server: { readonly hostname: string; readonly port: number | null }): Promise<number> {
    const folder = configFolder();
    const path = folder === null ? null : join(folder, NAME);
    if (path === null || await readText(path) === null) return 0;
    let gone = 0;
    await replaceFile(path, (old) => {
      const text = old ?? "";
      const parsed = parseKnownHosts(text, path);
      const kept = text.split("\n").filter((_, i) => {
        const line = parsed[i];
        const port = server.port ?? Number(line?.port);
        return !line || line.revoked || !isFor(line, { hostname: server.hostname, port });
      });
      gone = parsed.length - kept.length;
      return kept.join("\n");
    });
    return gone;
  }
}

/**
 * The lines of the file, null for blank ones and comments.
 *
 * @throws {FshError} USAGE, naming file and line
 */
export function parseKnownHosts(text: string, path: string): (KnownLine | null)[] {
  return text.split("\n").map((line, i) => parseLine(line.trim(), `${path}, line ${i + 1}`));
}

function parseLine(line: string, subject: string): KnownLine | null {
  if (line === "" || line.startsWith("#")) return null;
  const wrong = (detail: string) =>
    new FshError("USAGE", { subject, detail: `${detail}; repair the line or delete it` });
  const words = line.split(/\s+/);
  const revoked = words[0] === REVOKED;
  if (revoked) words.shift();
  const [hostname = "", port = "", fingerprint = "", base64, ...rest] = words;
  if (rest.length > 0 || (base64 === undefined && !revoked)) {
    throw wrong("a line is: host, port, fingerprint, certificate in base64, between blanks");
  }
  const anyPort = revoked && port === "*";
  if (!anyPort && !(/^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) {
    throw wrong(`${printable(port)} is no port`);
  }
  if (hostname === "*" && !revoked) throw wrong(`* stands for every host in ${REVOKED} lines only`);
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)) throw wrong(`${printable(fingerprint)} is no fingerprint`);
  const certificate = base64 === undefined ? null : readCertificate(base64);
  if (base64 !== undefined && !certificate) throw wrong("the certificate can't be read");
  if (certificate && certificate.fingerprint !== fingerprint) {
    throw wrong(`the certificate's fingerprint is ${certificate.fingerprint}, not what stands before it`);
  }
  return { revoked, hostname: hostname.toLowerCase(), port, fingerprint, certificate };
}

function readCertificate(base64: string): Certificate | null {
  try {
    return Certificate.fromDer(Uint8Array.fromBase64(base64));
  } catch {
    return null;
  }
}

function isFor(line: KnownLine, { hostname, port }: ServerName): boolean {
  const hostFits = line.hostname === "*" || line.hostname === hostname.toLowerCase();
  return hostFits && (line.port === "*" || Number(line.port) === port);
}
