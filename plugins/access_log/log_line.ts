import { type HookEvent, printable } from "../../lib/plugin.ts";

export type LoggedEvent = HookEvent<"completed"> | HookEvent<"failed"> | HookEvent<"disconnect">;

/** What a line tells. Only what is named here: an event may one day have more than is fit for a log. */
interface Entry {
  readonly time: string;
  readonly event: string;
  readonly session: string;
  readonly address: string;
  readonly user: string | undefined;
  readonly command: string | undefined;
  readonly path: string | undefined;
  readonly target: string | undefined;
  readonly method: string | undefined;
  readonly how: string | undefined;
  readonly bytes: number | undefined;
  readonly seconds: number;
  readonly error: { readonly name: string; readonly code: number; readonly message: string } | undefined;
}

/** One JSON object, without a line end. Characters that a terminal would act on are escaped. */
export function jsonLine(event: LoggedEvent): string {
  return JSON.stringify(entryOf(event)).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/**
 * One line as web servers have them (the NCSA common log format), then the seconds, the error's name and the session:
 * `192.0.2.7 - backup [31/Jan/2031:09:00:00 +0000] "GET /a.txt FSH/1" 200 2326 0.012 - s1`.
 */
export function commonLine(event: LoggedEvent): string {
  const entry = entryOf(event);
  const { address, user, command, path, target, method, how } = entry;
  const words = command !== undefined
    ? [command.toUpperCase(), path, target]
    : how !== undefined
    ? ["DISCONNECT", how]
    : method !== undefined
    ? ["AUTH", method]
    // Refused before there was any talk of who it is.
    : ["CONNECT"];
  const request = [...words, "FSH/1"].filter((word) => word !== undefined).map(quoted).join(" ");
  return `${bare(address)} - ${bare(user)} [${commonTime(entry.time)}] "${request}" ${status(entry)} ` +
    `${entry.bytes ?? 0} ${entry.seconds.toFixed(3)} ${entry.error?.name ?? "-"} ${bare(entry.session)}`;
}

function entryOf(event: LoggedEvent): Entry {
  const { hook, time, session, user, bytes, seconds, error } = { error: undefined, ...event };
  const request = event.hook === "disconnect" ? undefined : event;
  return {
    time,
    event: hook,
    session: session.id,
    address: session.address,
    user: user?.name || undefined,
    command: request?.command,
    path: request?.path,
    target: request?.target,
    method: event.hook === "failed" ? event.method : undefined,
    how: event.hook === "disconnect" ? event.how : undefined,
    bytes,
    seconds: Math.round(seconds * 1e6) / 1e6,
    error: error && { name: error.name, code: error.code, message: error.message },
  };
}

/** Statuses of HTTP, for the programs that read such logs: by the ranges of the ERRORS table. */
function status({ error }: Entry): number {
  if (error === undefined) return 200;
  const { code, name } = error;
  if (name === "AUTH_FAILED") return 401;
  if (code >= 80 && code <= 99) return 403;
  if (name === "NOT_FOUND") return 404;
  if (name === "EXISTS") return 409;
  if (name === "NO_SPACE") return 507;
  if (name === "CANCELLED" || name === "INTERRUPTED" || (code >= 50 && code <= 79)) return 499;
  if (code >= 20 && code <= 49) return 400;
  return 500;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function commonTime(iso: string): string {
  const parts = /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)/.exec(iso);
  if (!parts) return "-";
  return `${parts[3]}/${MONTHS[Number(parts[2]) - 1]}/${parts[1]}:${parts[4]} +0000`;
}

/** Text within quotes: none of its own, and no character that is acted on. */
function quoted(text: string): string {
  return printable(text.replaceAll("\\", "\\\\").replaceAll('"', '\\"'));
}

/** A field that is no field of its own: no blanks either. */
function bare(text: string | undefined): string {
  if (text === undefined || text === "") return "-";
  return quoted(text).replace(/[\s[\]]/gu, (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
}
