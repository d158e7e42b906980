import { isAddress, PINNED_NAME } from "../base/certificate.ts";
import type { Identity } from "./tls.ts";

/** NIST P-256 with SHA-256: what every TLS 1.3 must know (RFC 8446, section 9.1), quick on both sides. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** A pinned certificate is trusted for what it is; it ends only because X.509 wants an end. */
const YEARS = 50;
const DAY = 24 * 60 * 60 * 1000;

export interface SelfSignedOptions {
  /** DNS names and numeric addresses, beside `PINNED_NAME`. */
  readonly names: readonly string[];
  /** Default: since yesterday, as clocks differ. */
  readonly from?: Date;
  /** Default: in 50 years. */
  readonly to?: Date;
}

/** Makes a key and a certificate that it signs itself. Takes a while: the library is loaded only here. */
export async function makeSelfSigned({ names, from, to }: SelfSignedOptions): Promise<Identity> {
  await import("reflect-metadata");
  const { BasicConstraintsExtension, PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const now = new Date();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=fsh",
    notBefore: from ?? new Date(now.getTime() - DAY),
    notAfter: to ?? new Date(Date.UTC(now.getUTCFullYear() + YEARS, 0, 1)),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new SubjectAlternativeNameExtension(
        [...new Set([...names, PINNED_NAME])].map(generalName),
      ),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: certificate.toString("pem") + "\n", key: PemConverter.encode(key, "PRIVATE KEY") + "\n" };
}

function generalName(value: string): { readonly type: "ip" | "dns"; readonly value: string } {
  return { type: isAddress(value) ? "ip" : "dns", value };
}
