import { type KeyObject, verify, X509Certificate } from "node:crypto";
import { printable } from "./bytes.ts";
import { Certificate } from "./certificate.ts";
import { FshError } from "./errors.ts";
import { certificatesIn } from "./pem.ts";

/** What is known of a client by its certificate. */
export interface CertificateFacts {
  /** The subject's common name. */
  readonly name: string;
  /** `SHA256:…` over the DER, in base64 without padding. */
  readonly fingerprint: string;
}

/** A certificate that a client has shown. */
export class ClientCertificate {
  readonly der: Uint8Array;
  readonly x509: X509Certificate;

  private constructor(der: Uint8Array, x509: X509Certificate) {
    this.der = der;
    this.x509 = x509;
  }

  /** @throws {FshError} AUTH_FAILED */
  static parse(der: Uint8Array): ClientCertificate {
    try {
      return new ClientCertificate(der, new X509Certificate(der));
    } catch {
      throw new FshError("AUTH_FAILED", { detail: "what the client shows is no X.509 certificate in DER" });
    }
  }

  get name(): string {
    return commonName(this.x509);
  }

  get facts(): CertificateFacts {
    return { name: this.name, fingerprint: Certificate.fromDer(this.der).fingerprint };
  }

  /** Whether the holder of the certificate's key has signed `data`: ECDSA (in DER) or RSA (PKCS #1 v1.5) with SHA-256, or Ed25519. */
  verifies(signature: Uint8Array, data: Uint8Array): boolean {
    try {
      const key = this.x509.publicKey;
      return verify(digestFor(key), data, key, signature);
    } catch {
      return false;
    }
  }
}

/** The digest that goes with a key; null: the algorithm has its own. */
export function digestFor({ asymmetricKeyType: type }: KeyObject): "sha256" | null {
  return type === "ed25519" || type === "ed448" ? null : "sha256";
}

/**
 * Certificates that a server trusts: each either a client's own, or of an authority whose direct word counts. Intermediate
 * authorities are trusted by being listed, never because a client brings them.
 */
export class ClientTrust {
  readonly #anchors: readonly X509Certificate[];
  readonly #purposes: Purposes;

  private constructor(anchors: readonly X509Certificate[], purposes: Purposes) {
    this.#anchors = anchors;
    this.#purposes = purposes;
  }

  /** Reads certificates in PEM, one or more. @throws {FshError} USAGE: there is none, or one can't be read */
  static async parse(pem: string): Promise<ClientTrust> {
    const blocks = certificatesIn(pem);
    if (blocks.length === 0) throw new FshError("USAGE", { detail: "it holds no certificate in PEM" });
    const anchors = blocks.map((block, index) => {
      try {
        return new X509Certificate(block);
      } catch {
        throw new FshError("USAGE", { detail: `certificate ${index + 1} in it can't be read` });
      }
    });
    return new ClientTrust(anchors, await loadPurposes());
  }

  /** @throws {FshError} AUTH_FAILED, saying what is wrong with the certificate */
  check({ x509, name }: ClientCertificate): void {
    const refuse = (detail: string) => new FshError("AUTH_FAILED", { detail: `the client certificate ${detail}` });
    if (name === "") throw refuse("names nobody: its subject needs a common name (CN)");
    const now = Date.now();
    if (now > x509.validToDate.getTime()) throw refuse(`expired on ${day(x509.validToDate)}`);
    if (now < x509.validFromDate.getTime()) throw refuse(`is not valid before ${day(x509.validFromDate)}`);
    if (this.#anchors.some((anchor) => anchor.raw.equals(x509.raw))) return;
    if (x509.ca) throw refuse("is an authority's, not a client's");
    const issuer = this.#anchors.find((anchor) => anchor.ca && issued(anchor, x509));
    if (!issuer) throw refuse("is not from an authority that this server trusts");
    if (now > issuer.validToDate.getTime()) throw refuse("is from an authority whose own certificate has expired");
    const purposes = this.#purposes(new Uint8Array(x509.raw));
    if (purposes && !purposes.includes(CLIENT_AUTH)) throw refuse("is not meant for clients (extended key usage)");
  }
}

function issued(authority: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}

/** id-kp-clientAuth (RFC 5280, section 4.2.1.12). */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** The purposes that a certificate (in DER) names; null: it is good for all. */
type Purposes = (der: Uint8Array<ArrayBuffer>) => readonly string[] | null;

/** The runtime's own class does not tell purposes. The library is loaded for this only. */
async function loadPurposes(): Promise<Purposes> {
  await import("reflect-metadata");
  const { ExtendedKeyUsageExtension, X509Certificate } = await import("@peculiar/x509");
  return (der) => {
    const extension = new X509Certificate(der).getExtension(ExtendedKeyUsageExtension);
    return extension ? extension.usages.map(String) : null;
  };
}

function commonName({ subject }: X509Certificate): string {
  return printable(/^CN=(.*)$/m.exec(subject ?? "")?.[1] ?? "");
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
