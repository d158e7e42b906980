import type { Deadline } from "./deadline.ts";
import type { EventFacts, HookEvent } from "./event.ts";
import type { DecideHook, HookName } from "./hooks.ts";
import type { OptionDeclaration, Plugin, PluginPermissions } from "./plugin.ts";

/** What is known of a plugin without calling it. */
export interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly hooks: readonly HookName[];
  readonly methods: readonly string[];
  readonly permissions: PluginPermissions;
  readonly options: Readonly<Record<string, OptionDeclaration>>;
  /** Seconds. */
  readonly cache: { readonly [N in DecideHook]?: number };
  /** Milliseconds. */
  readonly deadlines: { readonly [N in HookName]?: number };
  readonly failOpen: readonly DecideHook[];
  readonly ahead: readonly DecideHook[];
}

/** What a plugin answered to one event, or why it did not. */
export type Reply = { readonly answer: unknown } | { readonly failure: string };

/** Who waits for replies, and until when. */
export interface Asker {
  /** Once it passes nobody waits any more. */
  readonly deadline: Deadline;
  /** Called for each event as soon as its reply is there, in whatever order. */
  readonly answered: (index: number, reply: Reply) => void;
}

export function failAll(events: number, { asker, failure }: { asker: Asker; failure: string }): void {
  for (let index = 0; index < events; index++) asker.answered(index, { failure });
}

/** Runs the hooks of one plugin: in this process or in a sandbox. */
export interface PluginHost {
  readonly manifest: Manifest;
  /** Calls a hook for several events. Never throws: of a plugin that is not there all replies are failures. */
  call<N extends HookName>(hook: N, events: readonly HookEvent<N>[], asker: Asker): void;
  /** Ends the plugin; it is called no more. */
  stop(): Promise<void>;
}

/** Methods of a plugin that authenticates and does not say how: what it may be asked about without more. */
const DEFAULT_METHODS = ["anonymous", "token", "password"];

export function manifestOf(plugin: Plugin, hooks: readonly HookName[]): Manifest {
  return {
    name: plugin.name,
    description: plugin.description ?? "",
    hooks,
    methods: hooks.includes("authenticate") ? plugin.methods ?? DEFAULT_METHODS : [],
    permissions: plugin.permissions ?? {},
    options: plugin.options ?? {},
    cache: plugin.cache ?? {},
    deadlines: plugin.deadlines ?? {},
    failOpen: plugin.failOpen ?? [],
    ahead: plugin.ahead ?? [],
  };
}

/** An event out of its facts. */
export function makeEvent<N extends HookName>(hook: N, facts: EventFacts<N>): HookEvent<N> {
  return { hook, time: isoTime(), ...facts } as unknown as HookEvent<N>;
}

let last = { at: NaN, second: NaN, prefix: "", text: "" };

/** As toISOString gives it, which takes long: made once per second, the text once per millisecond, as events come in bursts. */
function isoTime(): string {
  const at = Date.now();
  if (at === last.at) return last.text;
  const second = at - at % 1000;
  const prefix = second === last.second ? last.prefix : new Date(second).toISOString().slice(0, -"000Z".length);
  last = { at, second, prefix, text: `${prefix}${String(at - second).padStart(3, "0")}Z` };
  return last.text;
}
