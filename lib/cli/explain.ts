import { FshError } from "../base/errors.ts";
import { COMMANDS } from "../commands/registry.ts";
import type { EventSession, User } from "../hooks/event.ts";
import { PluginManager } from "../hooks/plugin_manager.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import type { Decision, Step } from "../session/decision.ts";
import { Evaluator, type Question } from "../session/evaluator.ts";
import { LocalStorage } from "../storage/local.ts";
import { FRAMES, type RequestName } from "../wire/frames.ts";
import type { Subcommand } from "./args.ts";
import { displayName, makeLog, note, print } from "./output.ts";
import { PLUGIN_OPTIONS, pluginSettings } from "./plugin_settings.ts";
import { parseSize } from "./values.ts";

/** A client of this machine. */
const SESSION: EventSession = { id: "explain", address: "127.0.0.1", port: 0, secure: true };

/** What the subcommands are called on the wire, where that differs. */
const OTHER_NAMES: Readonly<Record<string, string>> = { ls: "list", rm: "remove", mv: "move" };

/** Ways to come in about which nothing can be said without the secret. */
const NEED_MORE: readonly string[] = ["explain", "token", "password", "publickey"];

export const explainCommand: Subcommand = {
  name: "explain",
  usage: ["COMMAND PATH [TARGET]"],
  summary: "say whether a request would be allowed, and by which rule",
  details: `Asks the plugins what they would be asked if a client sent that request, and shows each answer; nothing is
done. COMMAND is get, put, ls, rm, mv, mkdir, stat, hash or another request; PATH begins with /, as in a URL; mv has a
TARGET, too. Plugins and their options are given as for fsh serve. Exit status: 0 allowed, 4 refused, 5 hidden.

  fsh explain --plugin rules.ts get /door.key
  fsh explain --user alice --plugin auth-users --plugin-option auth-users.file=users.json put /report.pdf`,
  options: [
    { name: "user", value: "NAME", default: "", help: "who would ask" },
    { name: "folder", value: "DIR", default: ".", help: "the served folder: where its symbolic links lead matters" },
    { name: "size", value: "BYTES", help: "what a put would announce" },
    { name: "read-only", help: "as if the server were" },
    { name: "json", help: "print one JSON object" },
    ...PLUGIN_OPTIONS,
  ],
  operands: { min: 2, max: 3 },

  async run(args) {
    const [word = "", path = "", target] = args.operands;
    const command = OTHER_NAMES[word] ?? word.toLowerCase();
    const questions = questionsOf(command, {
      path,
      target,
      size: args.has("size") ? parseSize("size", args.value("size")) : null,
    });
    const json = args.has("json");
    const log = makeLog({ json, fallback: "warn" });
    const storage = await LocalStorage.open(args.value("folder"), { durability: "none" });
    try {
      const plugins = await PluginManager.start(pluginSettings(args, { log, json }));
      try {
        const hooks = plugins.runner.current;
        const user = await findUser(args.value("user"), hooks);
        const evaluator = new Evaluator({ hooks, session: SESSION, user, readOnly: args.has("read-only"), storage });
        const decisions = await evaluator.decide(questions);
        if (json) print(JSON.stringify({ command, user, decisions: decisions.map(plain) }));
        else for (const line of describe(user, command, decisions)) print(line);
        return decisions.find(({ error }) => error)?.error?.exit ?? 0;
      } finally {
        await plugins.stop();
      }
    } finally {
      storage.close();
    }
  },
};

/** What the server would ask itself. @throws {FshError} USAGE */
function questionsOf(
  command: string,
  about: { readonly path: string; readonly target: string | undefined; readonly size: number | null },
): Question[] {
  const { path, target, size } = about;
  const name = command.toUpperCase() as RequestName;
  if (!Object.hasOwn(COMMANDS, name)) {
    const known = Object.keys(COMMANDS).map((one) => one.toLowerCase()).join(", ");
    throw new FshError("USAGE", {
      subject: `fsh explain ${command}`,
      detail: `there is no such request; it takes ${known}`,
    });
  }
  const write = COMMANDS[name].writes;
  const twoEnds = "to" in FRAMES[name].fields || "target" in FRAMES[name].fields;
  if (twoEnds !== (target !== undefined)) {
    throw new FshError("USAGE", {
      subject: `fsh explain ${command}`,
      detail: twoEnds ? "it has a TARGET" : "one PATH",
    });
  }
  const first = { path, command, write, follow: !write, size, ...(target === undefined ? {} : { target }) };
  if (command !== "move" || target === undefined) return [first];
  return [first, { path: target, command, write, follow: false, size }];
}

/** The user as the plugins know it. @throws {FshError} AUTH_FAILED: it would not be let in */
async function findUser(name: string, hooks: HookSet): Promise<User> {
  if (!hooks.has("authenticate")) return { name };
  for (const method of ["explain", ...hooks.methods.filter((one) => !NEED_MORE.includes(one))]) {
    const facts = { session: SESSION, user: { name }, method, token: undefined, password: undefined, key: undefined };
    const { admission } = await hooks.admit(facts) ?? {};
    if (admission && "user" in admission) return admission.user;
    if (admission?.reason !== undefined) throw new FshError("AUTH_FAILED", { subject: name, detail: admission.reason });
  }
  const silent = hooks.hosts.find(({ manifest: { hooks, methods } }) =>
    hooks.includes("authenticate") && !methods.includes("explain")
  );
  if (!silent) throw new FshError("AUTH_FAILED", { subject: name || "nobody", detail: "no plugin knows such a user" });
  note(
    `fsh: whom the plugin ${silent.manifest.name} lets in is not known beforehand; told as for anybody of that name`,
  );
  return { name };
}

function plain({ error, virtual, steps }: Decision) {
  return { path: virtual, allowed: error === null, error: error?.error, reason: error?.message, steps };
}

function describe(user: User, command: string, decisions: readonly Decision[]): string[] {
  const { name, home, access = "write", expires } = user;
  const rights = [
    `may ${access}`,
    ...(home === undefined ? [] : [`home ${home}`]),
    ...(expires === undefined ? [] : [`until ${new Date(expires).toISOString()}`]),
  ];
  const lines = [`user ${displayName(name || "nobody in particular")}: ${rights.join(", ")}`];
  for (const { error, virtual, steps } of decisions) {
    lines.push(`${command} ${displayName(virtual)}: ${error ? `refused: ${displayName(error.message)}` : "allowed"}`);
    lines.push(...steps.map((step) => `  ${describeStep(step)}`));
    if (steps.length === 0) lines.push("  no rule had anything to say");
  }
  return lines;
}

function describeStep({ rule, path, by, became, reason }: Step): string {
  const who = by ? ` (${by})` : "";
  const what = became === undefined ? "" : ` becomes ${displayName(became)}`;
  return `${rule}${who}: ${displayName(path)}${what}${reason ? `: ${displayName(reason)}` : ""}`;
}
