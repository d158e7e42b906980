import * as x509 from "@peculiar/x509";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY = 24 * 60 * 60 * 1000;

export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** A certificate and its key, in PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Wish {
  /** Of the subject. */
  readonly name: string;
  readonly authority?: boolean;
  /** Days from now. */
  readonly from?: number;
  readonly until?: number;
  /** Object identifiers; by default for clients. */
  readonly purposes?: readonly string[];
}

/** Issues certificates; its own is `pem`. */
export class Authority {
  readonly pem: string;
  readonly #keys: CryptoKeyPair;
  readonly #subject: string;

  private constructor(pem: string, keys: CryptoKeyPair, subject: string) {
    this.pem = pem;
    this.#keys = keys;
    this.#subject = subject;
  }

  static async make(name: string, days: { from?: number; until?: number } = {}): Promise<Authority> {
    const keys = await newKeys();
    const wish = { name, authority: true, ...days };
    const pem = await issue(wish, { subject: keys.publicKey, signing: keys.privateKey, issuer: `CN=${name}` });
    return new Authority(pem, keys, `CN=${name}`);
  }

  async issue(wish: Wish): Promise<Issued> {
    const keys = await newKeys();
    const by = { subject: keys.publicKey, signing: this.#keys.privateKey, issuer: this.#subject };
    return { certificate: await issue(wish, by), key: await pemOf(keys) };
  }
}

/** A certificate that nobody but itself vouches for. */
export async function selfSigned(wish: Wish): Promise<Issued> {
  const keys = await newKeys();
  const by = { subject: keys.publicKey, signing: keys.privateKey, issuer: `CN=${wish.name}` };
  return { certificate: await issue(wish, by), key: await pemOf(keys) };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
}

async function pemOf({ privateKey }: CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
}

async function issue(
  { name, authority = false, from = -1, until = 30, purposes = [CLIENT_AUTH] }: Wish,
  by: { readonly subject: CryptoKey; readonly signing: CryptoKey; readonly issuer: string },
): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.create({
    subject: name === "" ? "O=Nobody" : `CN=${name}`,
    issuer: by.issuer,
    notBefore: new Date(Date.now() + from * DAY),
    notAfter: new Date(Date.now() + until * DAY),
    publicKey: by.subject,
    signingKey: by.signing,
    signingAlgorithm: ECDSA,
    extensions: [
      new x509.BasicConstraintsExtension(authority, undefined, true),
      ...(authority || purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
    ],
  });
  return certificate.toString("pem");
}
