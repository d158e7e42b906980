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
// For the plugins that ship with fsh.
export { printable } from "./base/bytes.ts";
export { FshError } from "./base/errors.ts";
export { checkPassword, makeVerifier } from "./base/scram.ts";
export { fakeVerifier, formatVerifier } from "./base/scram_verifier.ts";
export { accountUser } from "./hooks/account.ts";
export { fileError, readText, replaceFile } from "./hooks/replace_file.ts";
export { findToken, parseTokensFile } from "./hooks/tokens_file.ts";
export { parseUsersFile, publicKey, type Users } from "./hooks/users_file.ts";
