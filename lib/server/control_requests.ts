import { clipUtf8 } from "../base/bytes.ts";
import { withDeadline } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { ControlSource } from "./control.ts";

/** Milliseconds between two lines that tell how far a drain has come. */
const PROGRESS_INTERVAL = 500;
/** Bytes of the text that a kicked client is told, and of a session's name. */
const MOST = { reason: 256, id: 64 };

/** One line of a client of the control socket. PROTOCOL.md describes them. */
export type ControlRequest =
  | { readonly request: "about" | "sessions" | "sockets" | "reload" }
  | { readonly request: "kick"; readonly session: string; readonly reason: string }
  | { readonly request: "drain"; readonly wait: boolean };

/** What a request may hold beside its name, and of which type. */
const FIELDS: Readonly<Record<ControlRequest["request"], Readonly<Record<string, "string" | "boolean">>>> = {
  about: {},
  sessions: {},
  sockets: {},
  reload: {},
  kick: { session: "string", reason: "string" },
  drain: { wait: "boolean" },
};

/** @throws {FshError} BAD_REQUEST, saying what is wrong with it */
export function parseControlRequest(line: string): ControlRequest {
  const fields = objectIn(line);
  const name = fields.request;
  if (typeof name !== "string" || !Object.hasOwn(FIELDS, name)) {
    throw wrong(`request is one of ${Object.keys(FIELDS).join(", ")}`);
  }
  const known = FIELDS[name as ControlRequest["request"]];
  for (const [field, value] of Object.entries(fields)) {
    if (field === "request") continue;
    if (!Object.hasOwn(known, field)) throw wrong(`${name} has no ${clipUtf8(field, 64)}`);
    const type: string = typeof value;
    if (type !== known[field]) throw wrong(`${field} is a ${known[field]}`);
  }
  const { session, reason = "", wait = false } = fields;
  switch (name) {
    case "kick":
      if (typeof session !== "string" || session === "") throw wrong("kick needs a session");
      return { request: "kick", session: clipUtf8(session, MOST.id), reason: clipUtf8(String(reason), MOST.reason) };
    case "drain":
      return { request: "drain", wait: wait === true };
    default:
      return { request: name as "about" | "sessions" | "sockets" | "reload" };
  }
}

function objectIn(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw wrong("a request is one line of JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("a request is a JSON object");
  return Object.fromEntries(Object.entries(value));
}

function wrong(detail: string): FshError {
  return new FshError("BAD_REQUEST", { detail });
}

/** One line of an answer: what there is, one by one, and then `done`, or `error` in its place. */
export type ControlAnswer = Readonly<Record<string, unknown>>;

/**
 * Carries a request out. Yields a line for each thing and then `done`.
 *
 * @throws {FshError} as the source
 */
export async function* answersTo(request: ControlRequest, source: ControlSource): AsyncGenerator<ControlAnswer> {
  switch (request.request) {
    case "about":
      return yield { done: source.about };
    case "sessions": {
      const sessions = await source.sessions();
      for (const session of sessions) yield { session };
      return yield { done: { count: sessions.length } };
    }
    case "sockets": {
      const sockets = await source.sockets();
      for (const socket of sockets) yield { socket };
      return yield { done: { count: sockets.length } };
    }
    case "kick":
      return yield { done: { session: await source.kick(request.session, request.reason) } };
    case "reload": {
      const reloaded = await source.reload();
      for (const one of reloaded) yield { reloaded: one };
      return yield { done: { count: reloaded.length, failed: reloaded.filter(({ error }) => error !== null).length } };
    }
    case "drain":
      return yield* drain(source, request.wait);
  }
}

async function* drain(source: ControlSource, wait: boolean): AsyncGenerator<ControlAnswer> {
  const { limit, ended } = source.drain();
  yield { draining: { limit, ...await source.load() } };
  if (!wait) return yield { done: { ended: false } };
  const over = ended.then(() => true as const);
  const late = () => new FshError("STALLED");
  while (!await withDeadline(over, PROGRESS_INTERVAL, late).catch(() => false)) {
    yield { draining: { limit, ...await source.load() } };
  }
  yield { done: { ended: true } };
}
