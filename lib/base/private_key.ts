import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { FshError } from "./errors.ts";
import { PublicKey } from "./public_key.ts";

/** An Ed25519 private key, which proves who one is. */
export class PrivateKey {
  readonly publicKey: PublicKey;
  readonly #key: KeyObject;

  private constructor(key: KeyObject, comment: string) {
    if (key.asymmetricKeyType !== "ed25519") {
      throw unusable(`it is a key of type ${key.asymmetricKeyType}, not ed25519; fsh keygen makes one`);
    }
    this.#key = key;
    const { x = "" } = createPublicKey(key).export({ format: "jwk" });
    this.publicKey = new PublicKey(Buffer.from(x, "base64url"), comment);
  }

  static generate(comment = ""): PrivateKey {
    return new PrivateKey(generateKeyPairSync("ed25519").privateKey, comment);
  }

  /**
   * Reads PEM: PKCS#8 (`PRIVATE KEY`), as `fsh keygen` writes it, or OpenSSH's own format. Neither may be encrypted.
   *
   * @throws {FshError} USAGE: what is wrong with it, and nothing of what is in it
   */
  static async parse(text: string): Promise<PrivateKey> {
    if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text)) throw encrypted();
    const pem = /^-----BEGIN OPENSSH PRIVATE KEY-----/m.test(text) ? await fromOpenSsh(text) : text;
    if (!/^-----BEGIN PRIVATE KEY-----/m.test(pem)) {
      const isPublic = /^\s*ssh-/.test(text);
      throw unusable(isPublic ? "it is a public key; the private one is wanted" : "it is no private key in PEM");
    }
    try {
      return new PrivateKey(createPrivateKey(pem), "");
    } catch (error) {
      if (error instanceof FshError) throw error;
      throw unusable("it is damaged");
    }
  }

  /** PKCS#8, in PEM. */
  get pem(): string {
    return this.#key.export({ type: "pkcs8", format: "pem" }).toString();
  }

  sign(data: Uint8Array): Uint8Array {
    return sign(null, data, this.#key);
  }
}

/** OpenSSH's format as PKCS#8. The library is loaded for this only. */
async function fromOpenSsh(text: string): Promise<string> {
  const { default: sshpk } = await import("sshpk");
  let key: { readonly type: string; toString(format: "pkcs8"): string };
  try {
    key = sshpk.parsePrivateKey(text, "ssh-private");
  } catch (error) {
    throw error instanceof Error && error.name === "KeyEncryptedError" ? encrypted() : unusable("it is damaged");
  }
  if (key.type !== "ed25519") throw unusable(`it is a key of type ${key.type}, not ed25519; fsh keygen makes one`);
  return key.toString("pkcs8");
}

function encrypted(): FshError {
  return unusable("it is protected by a passphrase, which fsh can't ask for; fsh keygen makes one without");
}

function unusable(detail: string): FshError {
  return new FshError("USAGE", { detail });
}
