import { FshError, printable } from "../../lib/plugin.ts";
import { Globs, type Rule } from "./globs.ts";

const KINDS = ["allow", "deny", "hide"] as const;
export type RuleKind = typeof KINDS[number];

type Lists = Readonly<Record<RuleKind, readonly Rule[]>>;

/** What holds for one user. */
export type UserRules = Readonly<Record<RuleKind, Globs>>;

/** Every rule, for everybody and for single users. */
export interface RuleBook {
  rulesOf(user: string): UserRules;
}

/** Options allow, deny and hide as lists of rules. */
export function optionRules(options: Readonly<Record<RuleKind, readonly string[]>>): Lists {
  const list = (kind: RuleKind) => options[kind].map((pattern) => ({ pattern, origin: `option ${kind}` }));
  return { allow: list("allow"), deny: list("deny"), hide: list("hide") };
}

export function makeRuleBook(common: Lists, ofUsers: ReadonlyMap<string, Lists> = new Map()): RuleBook {
  const everybody = compile(common);
  const single = new Map([...ofUsers].map(([name, lists]) => [name, compile(join(common, lists))]));
  return { rulesOf: (user) => single.get(user) ?? everybody };
}

/**
 * A rules file: lines as in a `.gitignore`, under headers that say what they do: `[allow]`, `[deny]`, `[hide]`, and for
 * one user `[allow user NAME]` and so on. A user's own lines come after those for everybody, so that `!` in them takes
 * back. Lists from options come first.
 *
 * @throws {FshError} USAGE, naming the line
 */
export function parseRules(text: string, file: { subject: string; options: Lists }): RuleBook {
  const common = emptyLists();
  const ofUsers = new Map<string, ReturnType<typeof emptyLists>>();
  let list: Rule[] | null = null;
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const origin = `line ${index + 1} of the rules`;
    const wrong = (detail: string) => new FshError("USAGE", { subject: `${file.subject}, line ${index + 1}`, detail });
    if (raw.trim() === "" || raw.startsWith("#")) continue;
    const header = /^\[([^\]]*)\]\s*$/.exec(raw);
    if (header) {
      const parts = /^(allow|deny|hide)(?:\s+user\s+(\S.*?))?\s*$/.exec(header[1] ?? "");
      const kind = KINDS.find((one) => one === parts?.[1]);
      if (!kind) throw wrong(`no such section: ${printable(raw)}; as a pattern write /**/${printable(raw)}`);
      list = listsOf(parts?.[2])[kind];
    } else {
      if (list === null) throw wrong("a pattern before the first [allow], [deny] or [hide]");
      new Globs([{ pattern: raw, origin: `${file.subject}, ${origin}` }]);
      list.push({ pattern: raw, origin });
    }
  }
  return makeRuleBook(join(file.options, common), ofUsers);

  function listsOf(user: string | undefined) {
    if (user === undefined) return common;
    const known = ofUsers.get(user) ?? emptyLists();
    ofUsers.set(user, known);
    return known;
  }
}

function emptyLists(): Record<RuleKind, Rule[]> {
  return { allow: [], deny: [], hide: [] };
}

function join(first: Lists, second: Lists): Lists {
  return {
    allow: [...first.allow, ...second.allow],
    deny: [...first.deny, ...second.deny],
    hide: [...first.hide, ...second.hide],
  };
}

function compile(lists: Lists): UserRules {
  return { allow: new Globs(lists.allow), deny: new Globs(lists.deny), hide: new Globs(lists.hide) };
}
