import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Identity } from "../../lib/transport/tls.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 24 * 60 * 60 * 1000;

export interface CertificateOptions {
  readonly names: readonly string[];
  /** Days from now; default: -1 and 30. */
  readonly days?: readonly [from: number, to: number];
  readonly isAuthority?: boolean;
  /** Object identifiers; without them it is good for all. */
  readonly purposes?: readonly string[];
}

/** Purposes of certificates (RFC 5280, section 4.2.1.12). */
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** An authority of a test's own. */
export class TestAuthority {
  private constructor(readonly certificate: X509Certificate, readonly keys: CryptoKeyPair) {}

  static async make(days: readonly [from: number, to: number] = [-1, 30]): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: "CN=authority of a test",
      ...validity(days),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestAuthority(certificate, keys);
  }

  get pem(): string {
    return this.certificate.toString("pem");
  }

  async issue(options: CertificateOptions): Promise<Identity> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      subject: options.names[0] === undefined ? "O=nobody" : `CN=${options.names[0]}`,
      issuer: this.certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      ...shape(options),
    });
    return await inPem(certificate, keys);
  }
}

/** As users make them with other programs: without the name that fsh gives to its own. */
export async function selfSigned(options: CertificateOptions): Promise<Identity> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${options.names[0]}`,
    keys,
    ...shape(options),
  });
  return await inPem(certificate, keys);
}

function shape({ names, days = [-1, 30], isAuthority = false, purposes = [] }: CertificateOptions) {
  const type = (name: string) => /^[\d.]+$|:/.test(name) ? "ip" as const : "dns" as const;
  return {
    ...validity(days),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(isAuthority, undefined, true),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: type(value), value }))),
      ...(purposes.length > 0 ? [new ExtendedKeyUsageExtension([...purposes])] : []),
    ],
  };
}

function validity([from, to]: readonly [number, number]) {
  return { notBefore: new Date(Date.now() + from * DAY), notAfter: new Date(Date.now() + to * DAY) };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function inPem(certificate: X509Certificate, keys: CryptoKeyPair): Promise<Identity> {
  const key = PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { cert: certificate.toString("pem") + "\n", key: key + "\n" };
}
