import { FshError, isError } from "../base/errors.ts";
import { safePath } from "../base/virtual_path.ts";
import type { User } from "./event.ts";

/** What an entry of a users file and of a tokens file have in common. */
export interface Account {
  /** A virtual path in the served folder; without it the served folder itself. */
  readonly home?: string;
  readonly access?: "read" | "write";
  /** ISO 8601; from then on there is no admission. A date is its beginning in UTC. */
  readonly expires?: string;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A parsed file whose one field, `field`, is an object of objects by name. */
export function parseEntries(text: string, file: { subject: string; field: string }): Map<string, JsonObject> {
  const { subject, field } = file;
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    throw malformed(subject, `not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!isObject(whole)) throw malformed(subject, `it must be an object with the field "${field}"`);
  checkFields(whole, { known: [field], subject, where: "the file" });
  const entries = whole[field];
  if (!isObject(entries)) throw malformed(subject, `"${field}" must be an object`);
  const found = new Map<string, JsonObject>();
  for (const [name, entry] of Object.entries(entries)) {
    checkName(name, subject);
    if (!isObject(entry)) throw malformed(subject, `"${name}" must be an object`);
    found.set(name, entry);
  }
  return found;
}

/** The file's text again: one field per line, so that people can edit it. */
export function formatEntries(field: string, entries: ReadonlyMap<string, object>): string {
  return JSON.stringify({ [field]: Object.fromEntries(entries) }, null, 2) + "\n";
}

/** Reads the fields of an account and refuses any that is not known: a misspelt one must not grant rights. */
export function parseAccount(
  entry: JsonObject,
  about: { subject: string; name: string; others: readonly string[] },
): Account {
  const { subject, name, others } = about;
  const where = `"${name}"`;
  checkFields(entry, { known: ["home", "access", "expires", ...others], subject, where });
  const { home, access, expires } = entry;
  if (home !== undefined) {
    if (typeof home !== "string") throw malformed(subject, `${where}: "home" must be text`);
    try {
      safePath(home);
    } catch (error) {
      if (!isError(error, "PATH_REJECTED", "NAME_TOO_LONG")) throw error;
      throw malformed(subject, `${where}: "home" ${JSON.stringify(home)} is no virtual path such as "/projects"`);
    }
  }
  if (access !== undefined && access !== "read" && access !== "write") {
    throw malformed(subject, `${where}: "access" must be "read" or "write"`);
  }
  if (expires !== undefined && (typeof expires !== "string" || parseDate(expires) === null)) {
    throw malformed(subject, `${where}: "expires" must be a date such as "2031-12-31"`);
  }
  return {
    ...(home === undefined ? {} : { home }),
    ...(access === undefined ? {} : { access }),
    ...(typeof expires === "string" ? { expires } : {}),
  };
}

/** The user that an account stands for. */
export function accountUser(name: string, account: Account): User {
  const { home, access, expires } = account;
  const at = expires === undefined ? null : parseDate(expires);
  return {
    name,
    ...(home === undefined ? {} : { home }),
    ...(access === undefined ? {} : { access }),
    ...(at === null ? {} : { expires: at }),
  };
}

/** Names that can stand in logs and on a wire without being mistaken for something else. */
export function checkName(name: string, subject: string): void {
  // deno-lint-ignore no-control-regex
  if (name === "" || name.length > 128 || /[\u0000-\u001f\u007f-\u009f\s]/.test(name) || !name.isWellFormed()) {
    const shown = JSON.stringify(name.slice(0, 40));
    throw malformed(subject, `the name ${shown} must be 1 to 128 characters without blanks and control characters`);
  }
}

/** Milliseconds since 1970-01-01T00:00Z of `2031-12-31`, `2031-12-31T12:00:00Z` or with another offset; null otherwise. */
export function parseDate(text: string): number | null {
  const parts = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text);
  const time = Date.parse(text);
  const day = parts?.[1];
  // The 31st of February would become a day in March.
  if (day === undefined || Number.isNaN(time) || !sameDay(day)) return null;
  return time;
}

function sameDay(day: string): boolean {
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/**
 * A date as it is, or a time from now (`12h`, `30d`, `8w`) as one; null for `never`.
 *
 * @throws {FshError} USAGE, naming `--expires`
 */
export function parseExpiry(text: string, now = Date.now()): string | null {
  if (text === "never") return null;
  const parts = /^([0-9]{1,5})([mhdw])$/.exec(text);
  if (parts) return new Date(now + Number(parts[1]) * (UNITS[parts[2] ?? ""] ?? NaN)).toISOString();
  if (parseDate(text) !== null) return text;
  throw new FshError("USAGE", {
    subject: `--expires ${text}`,
    detail: "it takes a date such as 2031-12-31, a time from now such as 12h or 30d, or never",
  });
}

/** A virtual path for `home`, as given on the command line. */
export function parseHome(text: string): string {
  try {
    return safePath(text);
  } catch (error) {
    if (!isError(error, "PATH_REJECTED", "NAME_TOO_LONG")) throw error;
    throw new FshError("USAGE", { subject: `--home ${text}`, detail: error.detail ?? "no virtual path" });
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function malformed(subject: string, detail: string): FshError {
  return new FshError("USAGE", { subject, detail });
}

function checkFields(
  object: JsonObject,
  about: { known: readonly string[]; subject: string; where: string },
): void {
  const odd = Object.keys(object).find((field) => !about.known.includes(field));
  if (odd !== undefined) {
    throw malformed(
      about.subject,
      `${about.where} has a field ${JSON.stringify(odd)}; known are: ${about.known.join(", ")}`,
    );
  }
}
