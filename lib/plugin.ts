/** All that the author of a plugin imports: `import { definePlugin } from "fsh/plugin"`. */
export type { Admission, Answers, EventSession, Facts, HookEvent, User, Verdict } from "./hooks/event.ts";
export { HOOKS } from "./hooks/hooks.ts";
export type { DecideHook, HookName, ObserveHook } from "./hooks/hooks.ts";
export { definePlugin } from "./hooks/plugin.ts";
export type {
  Hook,
  HookContext,
  Hooks,
  OptionDeclaration,
  OptionValue,
  Plugin,
  PluginLog,
  PluginPermissions,
  PluginSetup,
} from "./hooks/plugin.ts";
