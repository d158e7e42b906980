// Events as the server fires them, and a plugin with its surroundings, without a server.
import type {
  EventSession,
  HookContext,
  HookEvent,
  HookName,
  OptionValue,
  Plugin,
  PluginLog,
  User,
} from "../../lib/plugin.ts";
import type { EventFacts } from "../../lib/hooks/event.ts";

export const SESSION: EventSession = { id: "s1", address: "192.0.2.7", port: 40_000, secure: true };

type FactsBeside<N extends HookName> = Omit<EventFacts<N>, "session" | "user">;

/** An event of a session at 192.0.2.7, unless told otherwise. */
export function hookEvent<N extends HookName>(
  hook: N,
  facts: FactsBeside<N> & { session?: Partial<EventSession>; user?: User | string; time?: string },
): HookEvent<N> {
  const { session, user, time = new Date().toISOString(), ...rest } = facts;
  const event = {
    hook,
    time,
    session: { ...SESSION, ...session },
    ...(user === undefined ? {} : { user: typeof user === "string" ? { name: user } : user }),
    ...rest,
  };
  // The compiler can't follow a mapped type through the spread.
  return event as unknown as HookEvent<N>;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** A plugin that was started, with its options as the server would hand them over. */
export interface StartedPlugin {
  readonly plugin: Plugin;
  readonly lines: LogLine[];
  /** Calls a hook and answers what it says; a hook that the plugin has not is a mistake of the test. */
  call<N extends HookName>(event: HookEvent<N>, signal?: AbortSignal): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startPlugin(
  plugin: Plugin,
  given: Readonly<Record<string, OptionValue>> = {},
): Promise<StartedPlugin> {
  const options: Record<string, OptionValue> = { ...given };
  for (const [name, declared] of Object.entries(plugin.options ?? {})) {
    if (name in options) continue;
    if (declared.default !== undefined) options[name] = declared.default;
    else if (!declared.optional) throw new Error(`the option ${name} must be given`);
  }
  for (const name of Object.keys(options)) {
    if (!plugin.options?.[name]) throw new Error(`${plugin.name} has no option ${name}`);
  }
  const lines: LogLine[] = [];
  const log = recordingLog(lines);
  await plugin.start?.({ options, log });
  return {
    plugin,
    lines,
    async call(event, signal = new AbortController().signal) {
      const hook = plugin.hooks[event.hook] as ((event: HookEvent, context: HookContext) => unknown) | undefined;
      if (!hook) throw new Error(`${plugin.name} has no hook ${event.hook}`);
      return await hook(event, { options, signal, log });
    },
    async [Symbol.asyncDispose]() {
      await plugin.stop?.();
    },
  };
}

export function recordingLog(lines: LogLine[]): PluginLog {
  const at = (level: string) => (message: string, fields = {}) => void lines.push({ level, message, fields });
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

/** A folder that goes away at the end of the block. */
export async function temporaryFolder(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await Deno.makeTempDir({ prefix: "fsh-plugins-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** The FshError that a call fails with, as its text; a test that gets none fails. */
export async function failure(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("it did not fail");
}
