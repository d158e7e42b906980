import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { type Account, formatEntries, malformed, parseAccount, parseEntries } from "./account.ts";

/** One token of a tokens file; the token itself is nowhere. */
export interface TokenEntry extends Account {
  /** SHA-256 of the token, in hex. */
  readonly sha256: string;
}

export type Tokens = ReadonlyMap<string, TokenEntry>;

/** So that a token is known for what it is wherever it turns up. */
const TOKEN_PREFIX = "fsh_";
const TOKEN_BYTES = 32;
/** No token of ours is nearly as long; nobody makes us hash more. */
const MAX_TOKEN_LENGTH = 512;

/** A new token: 256 random bits. */
export function newToken(): string {
  return TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString("base64url");
}

/**
 * What is kept of a token. One round of SHA-256 is enough here: slow, salted hashes make up for passwords that can be
 * guessed, and nobody guesses 256 random bits.
 */
export function hashToken(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("hex");
}

/**
 * A tokens file: `{ "tokens": { "NAME": { "sha256": …, "home": …, "access": …, "expires": … } } }`.
 *
 * @throws {FshError} USAGE, saying what is wrong with it
 */
export function parseTokensFile(text: string, subject: string): Tokens {
  const tokens = new Map<string, TokenEntry>();
  for (const [name, entry] of parseEntries(text, { subject, field: "tokens" })) {
    const { sha256 } = entry;
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw malformed(subject, `"${name}": "sha256" must be 64 hex digits; make tokens with: fsh token add`);
    }
    tokens.set(name, { sha256, ...parseAccount(entry, { subject, name, others: ["sha256"] }) });
  }
  return tokens;
}

export function formatTokensFile(tokens: Tokens): string {
  return formatEntries("tokens", tokens);
}

/** The entry that a token belongs to. Every entry is compared, in constant time, whether or not one was found. */
export function findToken(tokens: Tokens, token: string): readonly [name: string, entry: TokenEntry] | null {
  if (token.length > MAX_TOKEN_LENGTH) return null;
  const offered = Buffer.from(hashToken(token), "hex");
  let found: readonly [string, TokenEntry] | null = null;
  for (const one of tokens) if (timingSafeEqual(Buffer.from(one[1].sha256, "hex"), offered)) found = one;
  return found;
}
