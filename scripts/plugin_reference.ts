// Writes what plugin authors need from the HOOKS table and the types in lib/hooks: plugins/HOOKS.md, and the text that
// `fsh plugin types` gives. `--check` only compares.
import { dirname, fromFileUrl, join } from "@std/path";
import { FACT_DOCS, type FactName, HOOK_NAMES, type HookName, hookRow } from "../lib/hooks/hooks.ts";

const project = dirname(dirname(fromFileUrl(import.meta.url)));
const events = await Deno.readTextFile(join(project, "lib/hooks/event.ts"));
const plugins = await Deno.readTextFile(join(project, "lib/hooks/plugin.ts"));

/** Facts that an event may lack altogether, by hook: as `HookEvent` has them. */
const OPTIONAL: Partial<Record<HookName, readonly FactName[]>> = Object.fromEntries(
  (["failed", "committed", "completed"] as const).map((name) => [name, ["command", "path", "transfer", "method"]]),
);
/** What a hook may answer, as `Answers` has it. */
const ANSWERS: Partial<Record<HookName, string>> = {
  connect: "Verdict",
  authenticate: "Admission",
  filterPath: "string | null",
  authorize: "Verdict",
  content: "Verdict",
};

let differs = false;
await write("plugins/HOOKS.md", document());
await write("lib/cli/plugin_types.ts", module());
if (differs) Deno.exit(1);

async function write(path: string, text: string): Promise<void> {
  const file = join(project, path);
  if (!Deno.args.includes("--check")) return await Deno.writeTextFile(file, text);
  // How lines are broken is the formatter's business.
  const words = (all: string) => all.split(/\s+/).join(" ");
  if (words(text) === words(await Deno.readTextFile(file).catch(() => ""))) return;
  console.error(`${path} differs from lib/hooks; run: scripts/deno run -A scripts/plugin_reference.ts`);
  differs = true;
}

function document(): string {
  let text = `<!-- written by scripts/plugin_reference.ts from the tables in lib/hooks -->

# Hooks

Every event has \`hook\`, \`time\` (ISO 8601, UTC), \`session\` (\`id\`, \`address\`, \`port\`, \`secure\`) and, once the client
was let in, \`user\` (\`name\`, \`home\`, \`access\`, \`expires\`, \`attributes\`). Beside these it has the facts listed with the
hook. A hook is called with \`(event, context)\`; the context has \`options\`, \`signal\` and \`log\`.

Decide hooks are waited for, plugin after plugin in the order of the command line. A hook that throws, or gives no answer
within its deadline, refuses, unless the plugin names it in \`failOpen\`. A plugin that names a decide hook in \`ahead\` may
be asked before others have answered, and about what they, or the server, then refuse; its answer still counts in its turn.
Observe hooks are told afterwards, through a
bounded queue, and slow nobody.
`;
  for (const name of HOOK_NAMES) {
    const { kind, deadline, facts, fold, when, may } = hookRow(name);
    text += `\n## ${name}\n\n- **kind**: ${kind}\n- **when**: ${when}\n- **may**: ${may}\n`;
    text += `- **deadline**: ${deadline / 1000} s\n`;
    if (kind === "decide") text += `- **answer**: \`${ANSWERS[name]}\`, or nothing: no opinion\n`;
    if (fold !== "none") text += `- **several plugins**: ${fold}\n`;
    if (facts.length > 0) text += `\nFacts:\n\n${facts.map((fact) => `- \`${fact}\`: ${FACT_DOCS[fact]}\n`).join("")}`;
  }
  return text;
}

function module(): string {
  const text = JSON.stringify(declarations());
  return `// Written by scripts/plugin_reference.ts from lib/hooks.
/** Types for authors of plugins, as \`fsh plugin types\` writes them. */
export const PLUGIN_TYPES: string =
  // deno-fmt-ignore
  ${text};
`;
}

function declarations(): string {
  const blocks = [
    ...["User", "EventSession", "Verdict", "Admission"].map((name) => block(events, name)),
    ...["OptionValue", "OptionDeclaration", "PluginPermissions", "HookContext", "PluginLog", "PluginSetup"]
      .map((name) => block(plugins, name)),
    ...HOOK_NAMES.map(eventType),
    hooksType(),
    "/** What a hook is told. */\nexport type HookEvent<N extends keyof Hooks> = Parameters<NonNullable<Hooks[N]>>[0];",
    block(plugins, "Plugin").replaceAll("[N in DecideHook]", "[N in keyof Hooks]").replaceAll(
      "[N in HookName]",
      "[N in keyof Hooks]",
    ).replaceAll("DecideHook", "(keyof Hooks)"),
    "/** Gives a plugin its types; changes nothing. */\nexport function definePlugin(plugin: Plugin): Plugin;",
  ];
  const body = blocks.join("\n\n").split("\n").map((line) => line === "" ? "" : `  ${line}`).join("\n");
  return `// Types of fsh's plugins, written by: fsh plugin types\ndeclare module "fsh/plugin" {\n${body}\n}\n`;
}

/** One exported interface or type of a file, with its comment. */
function block(source: string, name: string): string {
  const pattern = new RegExp(
    `(/\\*\\*(?:(?!\\*/)[^])*?\\*/\\n)?export (interface ${name} \\{[^]*?\\n\\}|type ${name} =[^]*?;(?=\\n\\n))`,
  );
  const found = pattern.exec(source);
  if (!found) throw new Error(`no ${name} in lib/hooks`);
  // The comment right before it, not one of an earlier declaration.
  const comment = found[1] ? found[1].slice(found[1].lastIndexOf("/**")) : "";
  return `${comment}export ${found[2]}`;
}

function eventType(name: HookName): string {
  const { facts, when } = hookRow(name);
  const lines = facts.map((fact) => {
    const optional = OPTIONAL[name]?.includes(fact) ? "?" : "";
    return `  /** ${FACT_DOCS[fact]} */\n  readonly ${fact}${optional}: ${factType(fact)};`;
  });
  return `/** When ${when}. */
export interface ${typeName(name)} {
  readonly hook: "${name}";
  /** ISO 8601, in UTC. */
  readonly time: string;
  readonly session: EventSession;
  readonly user?: User;
${lines.map((line) => `${line}\n`).join("")}}`;
}

function hooksType(): string {
  const lines = HOOK_NAMES.map((name) => {
    const answer = ANSWERS[name] ? `${ANSWERS[name]} | undefined | void` : "void";
    return `  ${name}?(event: ${typeName(name)}, context: HookContext): ${answer} | Promise<${answer}>;`;
  });
  return `export interface Hooks {\n${lines.join("\n")}\n}`;
}

function typeName(name: HookName): string {
  return `${name[0]?.toUpperCase()}${name.slice(1)}Event`;
}

function factType(fact: FactName): string {
  const type = new RegExp(`\\n  readonly ${fact}: ([^;]*(?:\\{[^}]*\\}[^;]*)?);\\n`).exec(block(events, "Facts"))?.[1];
  if (type === undefined) throw new Error(`no type of the fact ${fact}`);
  return type;
}
