import { HOOK_NAMES, type HookName, hookRow } from "./hooks.ts";
import type { Plugin } from "./plugin.ts";

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/i;
const KNOWN = [
  "name",
  "description",
  "permissions",
  "options",
  "hooks",
  "methods",
  "cache",
  "deadlines",
  "failOpen",
  "ahead",
  "start",
  "stop",
];
const PERMISSIONS = ["net", "read", "write", "env", "run"];
const OPTION_TYPES = ["string", "number", "boolean", "strings"];
/** Most milliseconds of a deadline, and seconds in a cache. */
const MOST_TIME = 86_400_000;

/**
 * Checks that what a file exports is a plugin. It comes from a stranger: nothing is taken for granted.
 *
 * @throws {TypeError} that says what is wrong, and what would be right
 */
export function asPlugin(exported: unknown): Plugin {
  const plugin = object(exported, "the default export must be an object: { name, hooks }");
  const unknown = Object.keys(plugin).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw new TypeError(`${unknown} is no property of a plugin; it has ${KNOWN.join(", ")}`);
  if (typeof plugin.name !== "string" || !NAME.test(plugin.name)) {
    throw new TypeError("name must be 1 to 64 letters, digits and dashes");
  }
  if (plugin.description !== undefined && typeof plugin.description !== "string") {
    throw new TypeError("description must be a text");
  }
  checkHooks(object(plugin.hooks, "hooks must be an object of functions"));
  checkPermissions(plugin.permissions);
  checkOptions(plugin.options);
  checkNumbers("cache", plugin.cache, (hook) => hookRow(hook).kind === "decide");
  checkKept(plugin.cache);
  checkNumbers("deadlines", plugin.deadlines, () => true);
  if (plugin.methods !== undefined) texts(plugin.methods, "methods");
  if (plugin.failOpen !== undefined) {
    for (const hook of texts(plugin.failOpen, "failOpen")) {
      if (!isHook(hook) || hookRow(hook).kind !== "decide") throw new TypeError(`failOpen: ${hook} does not decide`);
    }
  }
  if (plugin.ahead !== undefined) checkAhead(texts(plugin.ahead, "ahead"));
  for (const name of ["start", "stop"]) {
    if (plugin[name] !== undefined && typeof plugin[name] !== "function") {
      throw new TypeError(`${name} must be a function`);
    }
  }
  return exported as Plugin;
}

/** The hooks that a plugin has, in the order of the table. */
export function hooksOf(plugin: Plugin): HookName[] {
  return HOOK_NAMES.filter((name) => plugin.hooks[name] !== undefined);
}

function isHook(name: string): name is HookName {
  return (HOOK_NAMES as readonly string[]).includes(name);
}

function checkHooks(hooks: Record<string, unknown>): void {
  for (const [name, hook] of Object.entries(hooks)) {
    if (!isHook(name)) throw new TypeError(`hooks.${name}: there is no such hook; there are ${HOOK_NAMES.join(", ")}`);
    if (hook !== undefined && typeof hook !== "function") throw new TypeError(`hooks.${name} must be a function`);
  }
}

function checkPermissions(permissions: unknown): void {
  if (permissions === undefined) return;
  for (const [name, list] of Object.entries(object(permissions, "permissions must be an object of lists"))) {
    if (!PERMISSIONS.includes(name)) {
      throw new TypeError(`permissions.${name}: there is no such permission; there are ${PERMISSIONS.join(", ")}`);
    }
    if (texts(list, `permissions.${name}`).includes("")) throw new TypeError(`permissions.${name}: one is empty`);
  }
}

function checkOptions(options: unknown): void {
  if (options === undefined) return;
  for (const [name, declared] of Object.entries(object(options, "options must be an object"))) {
    const { type, help, default: fallback, optional, values } = object(
      declared,
      `options.${name} must be { type, help }`,
    );
    if (typeof type !== "string" || !OPTION_TYPES.includes(type)) {
      throw new TypeError(`options.${name}.type must be one of ${OPTION_TYPES.join(", ")}`);
    }
    if (typeof help !== "string") throw new TypeError(`options.${name}.help must say what the option is for`);
    if (fallback !== undefined && !isOfType(fallback, type)) {
      throw new TypeError(`options.${name}.default must be a ${type}`);
    }
    if (optional !== undefined && typeof optional !== "boolean") {
      throw new TypeError(`options.${name}.optional must be true or false`);
    }
    if (
      values !== undefined && !(Array.isArray(values) && values.every((one) => /^(string|number)$/.test(typeof one)))
    ) {
      throw new TypeError(`options.${name}.values must be a list of texts or numbers`);
    }
  }
}

function checkNumbers(what: string, value: unknown, fits: (hook: HookName) => boolean): void {
  if (value === undefined) return;
  for (const [name, number] of Object.entries(object(value, `${what} must be an object of numbers`))) {
    if (!isHook(name) || !fits(name)) throw new TypeError(`${what}.${name}: there is no such hook that it is for`);
    if (typeof number !== "number" || !(number >= 0 && number <= MOST_TIME)) {
      throw new TypeError(`${what}.${name} must be a number from 0 to ${MOST_TIME}`);
    }
  }
}

/** No chunk is like another, and its bytes would have to be kept to tell. */
function checkKept(cache: unknown): void {
  for (const name of Object.keys(cache ?? {})) {
    if (isHook(name) && hookRow(name).facts.includes("chunk")) {
      throw new TypeError(`cache.${name}: what was said of one chunk does not hold for another; leave it out`);
    }
  }
}

function checkAhead(hooks: readonly string[]): void {
  for (const name of hooks) {
    if (!isHook(name) || hookRow(name).kind !== "decide") throw new TypeError(`ahead: ${name} does not decide`);
    const { facts } = hookRow(name);
    if (facts.includes("password") || facts.includes("chunk")) {
      throw new TypeError(`ahead: ${name}: credentials and content go to one plugin after the other; leave it out`);
    }
  }
}

function isOfType(value: unknown, type: string): boolean {
  const actual: string = typeof value;
  if (type !== "strings") return actual === type;
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function object(value: unknown, complaint: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(complaint);
  return value as Record<string, unknown>;
}

function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || value.some((one) => typeof one !== "string")) {
    throw new TypeError(`${what} must be a list of texts`);
  }
  return value;
}
