import type { Admission, User, Verdict } from "./event.ts";

// Answers come from strangers' code: nothing of their shape is taken for granted.

/** Characters of a text in an answer. A longer reason is cut. */
const MOST_TEXT = 4096;

/** @throws {TypeError} that says what is wrong with the answer; undefined is no opinion */
export function readVerdict(answer: unknown): Verdict | undefined {
  if (answer === undefined || answer === null) return undefined;
  const { allow, reason } = asObject(answer, "{ allow, reason }");
  if (typeof allow !== "boolean") throw new TypeError("allow must be true or false");
  return reason === undefined ? { allow } : { allow, reason: text(reason, "reason") };
}

/** As `readVerdict`. */
export function readAdmission(answer: unknown): Admission | undefined {
  if (answer === undefined || answer === null) return undefined;
  const { allow, reason, user, verifier } = asObject(answer, "{ user } or { allow: false }");
  if (user === undefined) {
    if (allow !== false) throw new TypeError("an answer needs a user, or allow: false");
    return reason === undefined ? { allow } : { allow, reason: text(reason, "reason") };
  }
  const admitted = { user: readUser(user) };
  return verifier === undefined ? admitted : { ...admitted, verifier: text(verifier, "verifier") };
}

/** A path, null for one that is hidden; undefined for no opinion. */
export function readPath(answer: unknown): string | null | undefined {
  if (answer === undefined || answer === null) return answer;
  if (typeof answer !== "string" || !answer.startsWith("/")) {
    throw new TypeError("the path must be a text that begins with /, or null");
  }
  return answer;
}

function readUser(value: unknown): User {
  const { name, home, access, expires, attributes } = asObject(value, "user: { name }");
  if (access !== undefined && access !== "read" && access !== "write") {
    throw new TypeError("user.access must be read or write");
  }
  if (expires !== undefined && (typeof expires !== "number" || Number.isNaN(expires))) {
    throw new TypeError("user.expires must be a number of milliseconds");
  }
  return {
    name: text(name, "user.name"),
    ...(home === undefined ? {} : { home: text(home, "user.home") }),
    ...(access === undefined ? {} : { access }),
    ...(expires === undefined ? {} : { expires }),
    ...(attributes === undefined ? {} : { attributes: readAttributes(attributes) }),
  };
}

function readAttributes(value: unknown): NonNullable<User["attributes"]> {
  const attributes: Record<string, string | number | boolean> = {};
  for (const [name, one] of Object.entries(asObject(value, "user.attributes: an object"))) {
    if (typeof one !== "string" && typeof one !== "number" && typeof one !== "boolean") {
      throw new TypeError(`user.attributes.${name} must be a text, a number or a truth value`);
    }
    attributes[name] = one;
  }
  return attributes;
}

function asObject(value: unknown, shape: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(`expected ${shape}`);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new TypeError(`${what} must be a text`);
  if (what === "reason") return value.slice(0, MOST_TEXT);
  if (value.length > MOST_TEXT) throw new TypeError(`${what} is longer than ${MOST_TEXT} characters`);
  return value;
}
