import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { FshError } from "./errors.ts";

/** Rounds of PBKDF2 for new verifiers, as OWASP advises for HMAC-SHA-256. */
export const DEFAULT_ITERATIONS = 600_000;
/** Fewer are too fast to guess (RFC 7677, section 4); more would only keep whoever must compute them busy. */
const ITERATIONS = { least: 4096, most: 10_000_000 };

const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** What a server keeps of a password: enough to check it, not enough to log in with (RFC 5802, section 3). */
export interface Verifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

const derive = promisify(pbkdf2);

/**
 * The slow part: SaltedPassword of RFC 5802, on another thread. About half a second for the default iterations.
 *
 * @throws {FshError} AUTH_FAILED: no password of such characters can have been set, or iterations out of bounds
 */
export async function saltPassword(
  password: string,
  options: { readonly salt: Uint8Array; readonly iterations: number },
): Promise<Uint8Array> {
  checkIterations(options.iterations);
  return await derive(await prepare(password, "password"), options.salt, options.iterations, KEY_BYTES, "sha256");
}

/** @throws {FshError} AUTH_FAILED where they are so few that the password could be guessed, or absurdly many */
export function checkIterations(iterations: number): void {
  const { least, most } = ITERATIONS;
  if (Number.isSafeInteger(iterations) && iterations >= least && iterations <= most) return;
  throw new FshError("AUTH_FAILED", {
    detail: `${iterations} iterations of the password; from ${least} to ${most} go`,
  });
}

/**
 * SASLprep (RFC 4013), so that a password is the same from every keyboard. Characters newer than Unicode 3.2 are let
 * through as they are, as most programs do: people have them in their passwords.
 */
export async function prepare(text: string, what: "password" | "user name"): Promise<string> {
  const { default: saslprep } = await import("@mongodb-js/saslprep");
  let prepared: string;
  try {
    prepared = saslprep(text, { allowUnassigned: true });
  } catch {
    const detail = `the ${what} has control characters, or mixes directions of writing in a way that is not allowed`;
    throw new FshError("AUTH_FAILED", { detail });
  }
  if (prepared === "") throw new FshError("AUTH_FAILED", { detail: `the ${what} is empty` });
  return prepared;
}

export function hmac(key: Uint8Array, data: string | Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}

/** The keys that a salted password stands for: the client's own, and those that a verifier has. */
export function keysOf(salted: Uint8Array): { clientKey: Uint8Array; storedKey: Uint8Array; serverKey: Uint8Array } {
  const clientKey = hmac(salted, "Client Key");
  return { clientKey, storedKey: hashed(clientKey), serverKey: hmac(salted, "Server Key") };
}

export function hashed(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/**
 * Makes what a server keeps of a password, `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, as PostgreSQL writes it.
 *
 * @throws {FshError} AUTH_FAILED: empty, or of characters that SASLprep forbids
 */
export async function makeVerifier(password: string, options: { readonly iterations?: number } = {}): Promise<string> {
  const { iterations = DEFAULT_ITERATIONS } = options;
  const salt = randomBytes(SALT_BYTES);
  const { storedKey, serverKey } = keysOf(await saltPassword(password, { salt, iterations }));
  return formatVerifier({ iterations, salt, storedKey, serverKey });
}

export function formatVerifier({ iterations, salt, storedKey, serverKey }: Verifier): string {
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}

/** @throws {FshError} AUTH_FAILED: it is not of that form. The message has nothing of it: it is a secret. */
export function parseVerifier(text: string): Verifier {
  const parts = /^SCRAM-SHA-256\$(\d{1,10}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  const [salt, storedKey, serverKey] = parts?.slice(2).map(fromBase64) ?? [];
  if (!salt?.length || storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) {
    throw new FshError("AUTH_FAILED", {
      detail: "a verifier reads SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, the last three in base64",
    });
  }
  const iterations = Number(parts?.[1]);
  checkIterations(iterations);
  return { iterations, salt, storedKey, serverKey };
}

/**
 * Whether a password is the one behind a verifier; as slow as making one.
 *
 * @throws {FshError} AUTH_FAILED: the verifier is malformed
 */
export async function checkPassword(verifier: string, password: string): Promise<boolean> {
  const { salt, iterations, storedKey } = parseVerifier(verifier);
  try {
    return timingSafeEqual(keysOf(await saltPassword(password, { salt, iterations })).storedKey, storedKey);
  } catch {
    // Characters that no password has.
    return false;
  }
}

const secret = randomBytes(KEY_BYTES);

/**
 * What stands in for the verifier of a user who does not exist: nobody can prove it, and as long as this program runs it
 * is the same for the same name, so that nobody can tell the two apart.
 */
export function fakeVerifier(user: string): Verifier {
  const part = (what: string) => hmac(secret, `${what}:${user}`);
  return {
    iterations: DEFAULT_ITERATIONS,
    salt: part("salt").subarray(0, SALT_BYTES),
    storedKey: part("stored key"),
    serverKey: part("server key"),
  };
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Strict: undefined for anything that is not exactly how the bytes are written. */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return base64(bytes) === text ? bytes : undefined;
}
