import { createPrivateKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import { digestFor } from "./client_trust.ts";
import { FshError } from "./errors.ts";
import { certificatesIn, privateKeyIn } from "./pem.ts";

/** A client's own certificate with its private key. */
export class OwnCertificate {
  readonly der: Uint8Array;
  readonly #key: KeyObject;

  private constructor(certificate: X509Certificate, key: KeyObject) {
    this.der = new Uint8Array(certificate.raw);
    this.#key = key;
  }

  /**
   * Reads both in PEM; the first certificate counts, and the key may not be encrypted.
   *
   * @throws {FshError} USAGE: what is wrong with them, and nothing of what is in the key
   */
  static parse(pem: { readonly cert: string; readonly key: string }): OwnCertificate {
    const [first = ""] = certificatesIn(pem.cert);
    const certificate = attempt("it holds no certificate in PEM", () => new X509Certificate(first));
    if (/ENCRYPTED/.test(pem.key)) {
      throw unusable("the key is encrypted, which is not supported; decrypt it with openssl pkey");
    }
    const key = attempt("it holds no private key in PEM", () => createPrivateKey(privateKeyIn(pem.key) ?? ""));
    const isPair = attempt("its key is of a kind that can't be used here", () => certificate.checkPrivateKey(key));
    if (!isPair) throw unusable("certificate and key don't belong together");
    return new OwnCertificate(certificate, key);
  }

  sign(data: Uint8Array): Uint8Array {
    return sign(digestFor(this.#key), data, this.#key);
  }
}

function attempt<T>(problem: string, work: () => T): T {
  try {
    return work();
  } catch {
    throw unusable(problem);
  }
}

function unusable(detail: string): FshError {
  return new FshError("USAGE", { detail });
}
