/**
 * `path-filter`: which paths exist, and which may be used, by patterns as gitignore has them.
 *
 * What is hidden is not found, neither by name nor in listings; what is denied is seen, and refused with the rule that
 * says so; with an allow list, only what it matches exists, and the folders on the way there. Paths are those of the
 * served folder, whatever a user's home is. The server asks about all that a moved or removed folder holds, and about
 * what symbolic links lead to, so there is no way round.
 *
 * @module
 */
import type { HookEvent, Plugin, Verdict } from "../../lib/plugin.ts";
import { listOption, started, textOption } from "../option_values.ts";
import { WatchedFile } from "../watched_file.ts";
import type { Rule } from "./globs.ts";
import { makeRuleBook, optionRules, parseRules, type RuleBook, type UserRules } from "./rules.ts";

/** What may be done with a folder that only leads to what is allowed. */
const ON_THE_WAY: ReadonlySet<string> = new Set(["list", "stat", "mkdir"]);

export function createPathFilter(): Plugin {
  let current: (() => RuleBook | Promise<RuleBook>) | undefined;

  async function rulesFor(event: HookEvent<"filterPath" | "authorize">): Promise<UserRules> {
    const book = await started(current)();
    return book.rulesOf(event.user?.name ?? "");
  }

  return {
    name: "path-filter",
    description: "which paths exist and which may be used, by patterns as gitignore has them",
    options: {
      allow: { type: "strings", default: [], help: "patterns: nothing but these, and the folders on the way, exists" },
      deny: { type: "strings", default: [], help: "patterns: these are listed, but no command may use them" },
      hide: { type: "strings", default: [], help: "patterns: these do not exist for anybody" },
      rules: { type: "string", optional: true, help: "a file of patterns, also per user; read again when it changes" },
    },
    async start({ options, log }) {
      const lists = optionRules({
        allow: listOption(options, "allow"),
        deny: listOption(options, "deny"),
        hide: listOption(options, "hide"),
      });
      const path = textOption(options, "rules");
      if (path === undefined) {
        const book = makeRuleBook(lists);
        current = () => book;
        return;
      }
      const file = await WatchedFile.open(path, {
        parse: (text, subject) => parseRules(text, { subject, options: lists }),
        log,
      });
      current = () => file.current();
    },
    hooks: {
      async filterPath(event) {
        return exists(await rulesFor(event), event) ? event.path : null;
      },
      async authorize(event) {
        return judge(await rulesFor(event), event);
      },
    },
  };
}

function exists(rules: UserRules, { command, path }: { command: string; path: string }): boolean {
  if (path === "/") return true;
  if (rules.hide.match(path)) return false;
  if (rules.allow.empty || rules.allow.match(path)) return true;
  return ON_THE_WAY.has(command) && rules.allow.leadsTo(path);
}

/** The other end of a move, and what a link leads to, are asked about by themselves; here only for the better reason. */
function judge(rules: UserRules, { command, path, target }: HookEvent<"authorize">): Verdict | undefined {
  if (!exists(rules, { command, path })) return refuse("not found");
  const rule = rules.deny.match(path) ?? (target?.startsWith("/") ? rules.deny.match(target) : null);
  return rule ? refuse(denial(rule)) : undefined;
}

function denial({ pattern, origin }: Rule): string {
  return `denied by the rule ${pattern} (${origin})`;
}

function refuse(reason: string): Verdict {
  return { allow: false, reason };
}
