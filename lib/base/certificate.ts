import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { FshError } from "./errors.ts";

/**
 * The name that every certificate made by fsh carries beside its host's names. No authority may issue for it (RFC 2606,
 * section 2), so whoever is checked by this name and one certificate can't be anybody whom the web trusts.
 */
export const PINNED_NAME = "pinned.fsh.invalid";

/** More is no certificate, or none that is worth a line in a file; bytes of DER. */
const MOST_BYTES = 16 * 1024;

/** An X.509 certificate of a server, as far as trust needs it. */
export class Certificate {
  /** `SHA256:` and the digest of the DER form in base64 without padding, as ssh shows keys. */
  readonly fingerprint: string;
  readonly #x509: X509Certificate;

  private constructor(x509: X509Certificate) {
    this.#x509 = x509;
    this.fingerprint = `SHA256:${createHash("sha256").update(x509.raw).digest("base64").replace(/=+$/, "")}`;
  }

  /** @throws {FshError} CERTIFICATE_UNUSABLE */
  static fromDer(der: Uint8Array): Certificate {
    if (der.length > MOST_BYTES) throw new FshError("CERTIFICATE_UNUSABLE", { detail: `${der.length} bytes long` });
    return Certificate.#read(der);
  }

  /** The first certificate of a text in PEM, which is the server's own where there is a chain. */
  static fromPem(pem: string): Certificate {
    return Certificate.#read(pem);
  }

  static #read(source: Uint8Array | string): Certificate {
    try {
      return new Certificate(new X509Certificate(source));
    } catch (cause) {
      throw new FshError("CERTIFICATE_UNUSABLE", { detail: "it is no X.509 certificate", cause });
    }
  }

  get der(): Uint8Array {
    return this.#x509.raw;
  }

  get pem(): string {
    return this.#x509.toString();
  }

  /** Whether it is signed by its own key and names no authority. Only such a one can be trusted by itself. */
  get selfSigned(): boolean {
    try {
      return this.#x509.subject === this.#x509.issuer && this.#x509.verify(this.#x509.publicKey);
    } catch {
      return false;
    }
  }

  /** Whether it calls itself an authority's; such a one is no server's. */
  get isAuthority(): boolean {
    return this.#x509.ca;
  }

  /** DNS names and addresses that it is for. */
  get names(): string[] {
    const listed = this.#x509.subjectAltName ?? "";
    return [...listed.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name = ""]) => name);
  }

  /** Whether it is for this host, by name or numeric address. */
  isFor(hostname: string): boolean {
    if (isAddress(hostname)) return this.#x509.checkIP(hostname) !== undefined;
    return this.#x509.checkHost(hostname) !== undefined;
  }

  get pinnable(): boolean {
    return this.selfSigned && !this.isAuthority && this.names.length > 0;
  }

  /** The first and the last moment at which it is valid. */
  get validity(): { readonly from: Date; readonly to: Date } {
    return { from: new Date(this.#x509.validFrom), to: new Date(this.#x509.validTo) };
  }

  /** Whether a private key in PEM is this certificate's. */
  belongsTo(key: string): boolean {
    try {
      return this.#x509.checkPrivateKey(createPrivateKey(key));
    } catch {
      return false;
    }
  }
}

/** @throws {FshError} USAGE unless it is a fingerprint as `Certificate.fingerprint` */
export function checkFingerprint(option: string, text: string): string {
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return text;
  throw new FshError("USAGE", {
    subject: `${option} ${text}`,
    detail: "a fingerprint is SHA256: and 43 characters, as fsh serve --tls prints it",
  });
}

/** Whether a host is given by its numeric address. */
export function isAddress(hostname: string): boolean {
  return hostname.includes(":") || /^\d+(\.\d+){3}$/.test(hostname);
}
