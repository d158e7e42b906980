import "reflect-metadata";
import {
  BasicConstraintsExtension,
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
}

/** An authority of a test's own. */
export class TestAuthority {
  private constructor(readonly certificate: X509Certificate, readonly keys: CryptoKeyPair) {}

  static async make(): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: "CN=authority of a test",
      ...validity([-1, 30]),
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
      subject: `CN=${options.names[0]}`,
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
  const certificate = await X509CertificateGenerator.createSelfSigned({ name: "CN=someone", keys, ...shape(options) });
  return await inPem(certificate, keys);
}

function shape({ names, days = [-1, 30], isAuthority = false }: CertificateOptions) {
  const type = (name: string) => /^[\d.]+$|:/.test(name) ? "ip" as const : "dns" as const;
  return {
    ...validity(days),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(isAuthority, undefined, true),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: type(value), value }))),
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
