import { randomBytes, timingSafeEqual } from "node:crypto";
import { FshError } from "./errors.ts";
import { base64, fromBase64, hashed, hmac, keysOf, prepare, type Verifier } from "./scram_verifier.ts";

export { checkPassword, makeVerifier } from "./scram_verifier.ts";

/** No channel binding, no other identity (RFC 5802, section 7). */
const GS2_HEADER = "n,,";
const NONCE_BYTES = 24;

/** The slow part, which whoever logs in several times may remember. Checks the iterations: see `saltPassword`. */
export type SaltPassword = (options: { readonly salt: Uint8Array; readonly iterations: number }) => Promise<Uint8Array>;

/** The client's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677): `first`, `final`, `verify`, in that order. */
export class ScramClient {
  readonly #salt: SaltPassword;
  readonly #user: string;
  readonly #nonce: string;
  #expected: Uint8Array | null = null;

  private constructor(user: string, options: { salt: SaltPassword; nonce: string }) {
    this.#user = user;
    this.#salt = options.salt;
    this.#nonce = options.nonce;
  }

  /** @throws {FshError} AUTH_FAILED: no user has such a name */
  static async start(user: string, options: { salt: SaltPassword; nonce?: string }): Promise<ScramClient> {
    return new ScramClient(await prepare(user, "user name"), { nonce: makeNonce(), ...options });
  }

  /** The name as it is sent: what SASLprep made of it. */
  get user(): string {
    return this.#user;
  }

  first(): string {
    return GS2_HEADER + this.#firstBare;
  }

  get #firstBare(): string {
    return `n=${this.#user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${this.#nonce}`;
  }

  /** @throws {FshError} BAD_FIELD for what is no server-first-message, AUTH_FAILED for one that nobody should answer */
  async final(serverFirst: string): Promise<string> {
    const wrong = (detail: string) => new FshError("BAD_FIELD", { subject: "CHALLENGE", detail });
    const [nonce, saltText, count] = attributes(serverFirst, { names: ["r", "s", "i"], wrong });
    const salt = fromBase64(saltText);
    if (!salt?.length) throw wrong("the salt is not base64");
    if (!/^[1-9]\d{0,9}$/.test(count)) throw wrong("the iterations are no number");
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || !isPrintable(nonce)) {
      throw wrong("the nonce is not of this exchange");
    }
    const salted = await this.#salt({ salt, iterations: Number(count) });
    const { clientKey, storedKey, serverKey } = keysOf(salted);
    const withoutProof = `c=${base64(new TextEncoder().encode(GS2_HEADER))},r=${nonce}`;
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`;
    this.#expected = hmac(serverKey, authMessage);
    return `${withoutProof},p=${base64(xor(clientKey, hmac(storedKey, authMessage)))}`;
  }

  /** @throws {FshError} AUTH_FAILED: the server does not know the password, so it is not the one that is meant */
  verify(serverFinal: string): void {
    const wrong = (detail: string) => new FshError("BAD_FIELD", { subject: "CHALLENGE", detail });
    const [value] = attributes(serverFinal, { names: ["v"], wrong });
    const signature = fromBase64(value);
    if (!this.#expected || signature?.length !== this.#expected.length) throw wrong("no signature of a server");
    if (!timingSafeEqual(signature, this.#expected)) throw strangeServer();
  }
}

/** What to say of a server that lets one in without having shown that it knows the password. */
export function strangeServer(): FshError {
  return new FshError("AUTH_FAILED", {
    detail: "the server could not prove that it knows the password: it may be another one than you think",
  });
}

/** The server's side of one exchange. The name is known before the verifier is needed. */
export class ScramServer {
  /** Whom the client claims to be. */
  readonly user: string;
  readonly #firstBare: string;
  readonly #header: string;
  readonly #nonce: string;
  #verifier: Verifier | null = null;
  #serverFirst = "";

  /** @throws {FshError} BAD_FIELD for what is no client-first-message, or asks for what is not there */
  constructor(clientFirst: string, options: { nonce?: string } = {}) {
    const parts = /^([ny]),([^,]*),(.*)$/s.exec(clientFirst);
    if (!parts) throw wrongAuth("no client-first-message without channel binding");
    if (parts[2] !== "") throw wrongAuth("acting as another user is not supported");
    this.#header = `${parts[1]},,`;
    this.#firstBare = parts[3] ?? "";
    const [name, nonce] = attributes(this.#firstBare, { names: ["n", "r"], wrong: wrongAuth });
    if (/=(?!2C|3D)/.test(name)) throw wrongAuth("the user's name is not escaped");
    this.user = name.replaceAll("=2C", ",").replaceAll("=3D", "=");
    if (this.user === "" || !isPrintable(nonce)) throw wrongAuth("an empty name, or no nonce");
    this.#nonce = nonce + (options.nonce ?? makeNonce());
  }

  first(verifier: Verifier): string {
    this.#verifier = verifier;
    this.#serverFirst = `r=${this.#nonce},s=${base64(verifier.salt)},i=${verifier.iterations}`;
    return this.#serverFirst;
  }

  /**
   * The server-final-message; null where the proof is wrong.
   *
   * @throws {FshError} BAD_FIELD for what is no client-final-message of this exchange
   */
  final(clientFinal: string): string | null {
    if (!this.#verifier) throw new FshError("INTERNAL", { detail: "SCRAM out of order" });
    const end = clientFinal.lastIndexOf(",p=");
    const withoutProof = clientFinal.slice(0, Math.max(0, end));
    const [header, nonce] = attributes(withoutProof, { names: ["c", "r"], wrong: wrongAuth });
    if (header !== base64(new TextEncoder().encode(this.#header))) throw wrongAuth("another channel binding");
    if (nonce !== this.#nonce) throw wrongAuth("the nonce is not of this exchange");
    const proof = fromBase64(clientFinal.slice(end + ",p=".length));
    const { storedKey, serverKey } = this.#verifier;
    if (proof?.length !== storedKey.length) throw wrongAuth("no proof");
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmac(storedKey, authMessage));
    if (!timingSafeEqual(hashed(clientKey), storedKey)) return null;
    return `v=${base64(hmac(serverKey, authMessage))}`;
  }
}

function wrongAuth(detail: string): FshError {
  return new FshError("BAD_FIELD", { subject: "AUTH", detail });
}

/**
 * The values of `a=…,b=…`, in the order that the standard sets. Further attributes may follow, which mean nothing
 * here. `m=`, which means that the rest can't be understood without an extension, is refused by that order.
 */
function attributes<const N extends readonly string[]>(
  message: string,
  options: { names: N; wrong: (detail: string) => FshError },
): { readonly [I in keyof N]: string } {
  const { names, wrong } = options;
  const parts = message.split(",");
  if (parts.length < names.length) throw wrong("attributes are missing");
  const values = names.map((name, place) => {
    const part = parts[place] ?? "";
    if (!part.startsWith(`${name}=`)) throw wrong(`${name}= is not where it belongs`);
    return part.slice(2);
  });
  return values as unknown as { readonly [I in keyof N]: string };
}

/** Printable ASCII without a comma, as nonces are. */
function isPrintable(nonce: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]{1,1024}$/.test(nonce);
}

function makeNonce(): string {
  return base64(randomBytes(NONCE_BYTES));
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
