import type { Answers, HookEvent } from "./event.ts";
import type { DecideHook, HookName } from "./hooks.ts";

/** A value of an option of a plugin. */
export type OptionValue = string | number | boolean | readonly string[];

/** What a plugin lets be set by `--plugin-option NAME.KEY=VALUE`. */
export interface OptionDeclaration {
  readonly type: "string" | "number" | "boolean" | "strings";
  /** Without one the option must be given, unless `optional`. */
  readonly default?: OptionValue;
  readonly optional?: boolean;
  /** Values that are allowed; any of the type, where there are none. */
  readonly values?: readonly (string | number)[];
  readonly help: string;
}

/**
 * Permissions that a plugin asks for; the operator grants them with `--plugin-allow`. Relative paths: to its file. Links
 * that are below such a path lead where they lead; a plugin can't make any.
 */
export interface PluginPermissions {
  /** `host` or `host:port`. */
  readonly net?: readonly string[];
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  /** Names of environment variables. */
  readonly env?: readonly string[];
  /** Programs. */
  readonly run?: readonly string[];
}

/** What a hook has of its surroundings. */
export interface HookContext {
  /** The plugin's options: as given, or their defaults. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Aborted when the answer is of no use any more: the deadline passed, the client went. */
  readonly signal: AbortSignal;
  /** Writes to the server's log. */
  readonly log: PluginLog;
}

export interface PluginLog {
  error(message: string, fields?: Record<string, string | number | boolean>): void;
  warn(message: string, fields?: Record<string, string | number | boolean>): void;
  info(message: string, fields?: Record<string, string | number | boolean>): void;
  debug(message: string, fields?: Record<string, string | number | boolean>): void;
}

/** What a plugin needs before its first hook, and has to let go of at the end. */
export interface PluginSetup {
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly log: PluginLog;
}

type Answer<N extends HookName> = Answers[N] | undefined | void;
export type Hook<N extends HookName> = (
  event: HookEvent<N>,
  context: HookContext,
) => Answer<N> | Promise<Answer<N>>;

export type Hooks = { readonly [N in HookName]?: Hook<N> };

/** A plugin: the default export of its file. */
export interface Plugin {
  /** Letters, digits and dashes; names it in logs, options and refusals. */
  readonly name: string;
  readonly description?: string;
  readonly permissions?: PluginPermissions;
  readonly options?: Readonly<Record<string, OptionDeclaration>>;
  readonly hooks: Hooks;
  /**
   * Ways to come in that its `authenticate` knows; default: `anonymous`, `token` and `password`. With `explain` among them
   * it is asked whom a name stands for, with nothing proved, by `fsh explain` only.
   */
  readonly methods?: readonly string[];
  /** Seconds for which answers of a hook hold, within one session and for equal facts; of none that decides of chunks. */
  readonly cache?: { readonly [N in DecideHook]?: number };
  /** Milliseconds, in place of the table's deadlines. */
  readonly deadlines?: { readonly [N in HookName]?: number };
  /** Hooks whose failure (a throw, a missed deadline) counts as no opinion instead of a refusal. */
  readonly failOpen?: readonly DecideHook[];
  /**
   * Hooks that may be asked before others have answered, and about what those (or the server) then refuse, as the event
   * alone decides and asking changes nothing: a request then waits for all such plugins at once. Not `authenticate` and
   * `content`.
   */
  readonly ahead?: readonly DecideHook[];
  /** Called once, before the first hook. */
  start?(setup: PluginSetup): void | Promise<void>;
  /** Called once, after the last hook. */
  stop?(): void | Promise<void>;
}

/** Gives a plugin its types; changes nothing. */
export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}
