import { HOOK_NAMES } from "./hooks.ts";
import { type Manifest, manifestOf, type Reply } from "./host.ts";
import { asPlugin, hooksOf } from "./plugin_shape.ts";
import type { FromSandbox } from "./sandbox_message.ts";

// A plugin can write what it likes to its standard output, past the code around it: nothing is taken for granted.

const LEVELS = ["error", "warn", "info", "debug"] as const;
/** Characters of a line that is printed or logged, of a field of a log record, and fields of a record. */
const MOST_TEXT = 64 * 1024;
const MOST_FIELD = 4 * 1024;
const MOST_FIELDS = 32;
/** Names that the server's own records have for what plugins must not claim to be. */
const OWN_FIELDS = ["plugin", "unhooked"];

/** A message of a sandbox, checked. @throws {TypeError} where it is none */
export function readSaid(value: unknown): FromSandbox {
  const said = object(value);
  switch (said.type) {
    case "loaded":
      return { type: "loaded", manifest: readManifest(said.manifest) };
    case "started":
    case "stopped":
    case "pong":
      return { type: said.type };
    case "failed":
      return { type: "failed", reason: text(said.reason) };
    case "print":
      return { type: "print", text: text(said.text) };
    case "replies":
      return readReplies(said);
    case "log":
      return readLog(said);
    default:
      throw new TypeError("a message of no known type");
  }
}

function readReplies({ id, at, replies }: Record<string, unknown>): FromSandbox {
  if (typeof id !== "number" || typeof at !== "number" || !Array.isArray(replies)) {
    throw new TypeError("replies without numbers or list");
  }
  const read = replies.map((reply): Reply => {
    const { failure, answer } = object(reply);
    return failure === undefined ? { answer } : { failure: text(failure) };
  });
  return { type: "replies", id, at, replies: read };
}

function readLog({ level, message, fields }: Record<string, unknown>): FromSandbox {
  const known = LEVELS.find((one) => one === level);
  if (!known) throw new TypeError("a log record of no known level");
  const facts: [string, string | number | boolean][] = [];
  for (const [name, value] of Object.entries(fields === undefined ? {} : object(fields)).slice(0, MOST_FIELDS)) {
    if (OWN_FIELDS.includes(name)) continue;
    const plain = typeof value === "number" || typeof value === "boolean" ? value : text(value, MOST_FIELD);
    facts.push([name.slice(0, MOST_FIELD), plain]);
  }
  return { type: "log", level: known, message: text(message), fields: Object.fromEntries(facts) };
}

/** The manifest is checked as the plugin was, on its own side of the wall. */
function readManifest(value: unknown): Manifest {
  const { hooks, ...rest } = object(value);
  if (!Array.isArray(hooks)) throw new TypeError("a manifest without hooks");
  const named = HOOK_NAMES.filter((name) => hooks.includes(name));
  const plugin = asPlugin({ ...rest, hooks: Object.fromEntries(named.map((name) => [name, () => undefined])) });
  return manifestOf(plugin, hooksOf(plugin));
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new TypeError("no object where one belongs");
  return value as Record<string, unknown>;
}

function text(value: unknown, most: number = MOST_TEXT): string {
  return (typeof value === "string" ? value : JSON.stringify(value) ?? "").slice(0, most);
}
