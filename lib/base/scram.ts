import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";

const ITERATIONS = 600_000;
const KEY_BYTES = 32;

function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(
      password.normalize("NFKC"),
      salt,
      iterations,
      KEY_BYTES,
      "sha256",
      (error, key) => error ? reject(error) : resolve(key),
    );
  });
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}

/** `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER` (RFC 5802, section 3; RFC 7677), as PostgreSQL has it. */
export async function makeVerifier(password: string, options: { iterations?: number } = {}): Promise<string> {
  const { iterations = ITERATIONS } = options;
  const salt = randomBytes(16);
  const salted = await saltedPassword(password, salt, iterations);
  const stored = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  const server = hmac(salted, "Server Key");
  const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(stored)}:${base64(server)}`;
}

/** Whether the verifier was made of this password. */
export async function checkPassword(verifier: string, password: string): Promise<boolean> {
  const parts = /^SCRAM-SHA-256\$([0-9]+):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(verifier);
  if (!parts) return false;
  const bytes = (text = "") => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const salted = await saltedPassword(password, bytes(parts[2]), Number(parts[1]));
  const stored = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  const expected = bytes(parts[3]);
  return expected.length === stored.length && timingSafeEqual(stored, expected);
}
