import { PublicKey } from "../base/public_key.ts";
import { parseVerifier } from "../base/scram_verifier.ts";
import { type Account, formatEntries, malformed, parseAccount, parseEntries } from "./account.ts";

/** One user of a users file. */
export interface UserEntry extends Account {
  /** What the password is checked against: `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`. None: no password fits. */
  readonly verifier?: string;
  /** Public keys: `ssh-ed25519 AAAA…`, without a comment. */
  readonly keys?: readonly string[];
}

export type Users = ReadonlyMap<string, UserEntry>;

/**
 * A users file: `{ "users": { "NAME": { "verifier": …, "home": …, "access": …, "expires": …, "keys": […] } } }`.
 *
 * @throws {FshError} USAGE, saying what is wrong with it
 */
export function parseUsersFile(text: string, subject: string): Users {
  const users = new Map<string, UserEntry>();
  for (const [name, entry] of parseEntries(text, { subject, field: "users" })) {
    const { verifier, keys } = entry;
    if (verifier !== undefined && (typeof verifier !== "string" || !isVerifier(verifier))) {
      throw malformed(subject, `"${name}": "verifier" is none; set it with: fsh passwd ${subject} ${name}`);
    }
    users.set(name, {
      ...(typeof verifier === "string" ? { verifier } : {}),
      ...parseAccount(entry, { subject, name, others: ["verifier", "keys"] }),
      ...(keys === undefined ? {} : { keys: parseKeys(keys, { subject, name }) }),
    });
  }
  return users;
}

export function formatUsersFile(users: Users): string {
  return formatEntries("users", users);
}

function parseKeys(keys: unknown, about: { subject: string; name: string }): string[] {
  if (!Array.isArray(keys)) throw malformed(about.subject, `"${about.name}": "keys" must be a list`);
  return keys.map((key) => {
    const known = typeof key === "string" ? publicKey(key) : null;
    if (known === null) {
      throw malformed(about.subject, `"${about.name}": a key must read "ssh-ed25519 AAAA…"`);
    }
    return known;
  });
}

/** A line of a `.pub` file or an authorized-keys file as `ssh-ed25519 AAAA…`, without its comment; null if it is none. */
export function publicKey(line: string): string | null {
  try {
    return PublicKey.parse(line).text;
  } catch {
    return null;
  }
}

function isVerifier(text: string): boolean {
  try {
    parseVerifier(text);
    return true;
  } catch {
    return false;
  }
}
