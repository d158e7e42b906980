import { FshError } from "../../lib/plugin.ts";
import ignore, { type Ignore } from "ignore";

/** The matcher remembers every path that it was asked about; after this many it is made anew, to bound its memory. */
const MAX_REMEMBERED = 10_000;

/** A pattern of a list, and where it comes from. */
export interface Rule {
  readonly pattern: string;
  /** For whoever is refused: an option or a line, no path of the server. */
  readonly origin: string;
}

/** One component of a pattern that begins at the root. */
type Part = { readonly any: true } | { readonly name: string } | { readonly matcher: Matcher };

/** The library's matcher, its memory bounded. */
class Matcher {
  readonly #rules: readonly Rule[];
  #ignore: Ignore;
  #asked = 0;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#ignore = makeIgnore(rules);
  }

  match(path: string): Rule | null {
    if (path === "/" || this.#rules.length === 0) return null;
    if (++this.#asked > MAX_REMEMBERED) {
      this.#ignore = makeIgnore(this.#rules);
      this.#asked = 1;
    }
    // The library's expressions take line ends for the end of the text.
    const result = this.#ignore.test(path.slice(1).replace(/[\n\r\u2028\u2029]/g, "\u0001") + "/");
    if (!result.ignored) return null;
    return this.#rules[Number(result.rule?.mark)] ?? { pattern: result.rule?.pattern ?? "", origin: "" };
  }
}

/**
 * A list of patterns as gitignore has them: later ones win, `!` takes back, and what is below a matched folder matches
 * as well. Patterns that end in `/` match files, too, as nobody can tell from a path what it names. Case counts on Linux
 * only, as with the names of files.
 */
export class Globs {
  readonly empty: boolean;
  readonly #matcher: Matcher;
  readonly #anchored: readonly (readonly Part[])[];
  readonly #floating: boolean;

  /** @throws {FshError} USAGE: a pattern that would never match */
  constructor(rules: readonly Rule[]) {
    for (const { pattern, origin } of rules) {
      if (/(^|[^\\])(\\\\)*\\$/.test(pattern)) {
        throw new FshError("USAGE", { subject: origin, detail: `the pattern ${pattern} ends in the middle` });
      }
    }
    this.empty = rules.length === 0;
    this.#matcher = new Matcher(rules);
    const positive = rules.map(({ pattern }) => pattern).filter((pattern) => !pattern.startsWith("!"));
    this.#anchored = positive.filter((pattern) => !floats(pattern)).map(partsOf);
    this.#floating = positive.some(floats);
  }

  /** The rule that matches a virtual path, or null. The root matches nothing. */
  match(path: string): Rule | null {
    return this.#matcher.match(path);
  }

  /** Whether something below `path` may match. Never false where something does. */
  leadsTo(path: string): boolean {
    if (this.#floating) return true;
    const names = path === "/" ? [] : path.slice(1).split("/");
    return this.#anchored.some((parts) => {
      for (const [index, name] of names.entries()) {
        const part = parts[index];
        if (part === undefined) return false;
        if ("any" in part) return true;
        if ("name" in part ? part.name !== name : part.matcher.match(`/${name}`) === null) return false;
      }
      return parts.length > names.length;
    });
  }
}

function makeIgnore(rules: readonly Rule[]): Ignore {
  const matcher = ignore({ ignorecase: Deno.build.os !== "linux" });
  rules.forEach(({ pattern }, index) => matcher.add({ pattern, mark: String(index) }));
  return matcher;
}

/** Whether it matches at any depth. */
function floats(pattern: string): boolean {
  return !bare(pattern).includes("/");
}

function bare(pattern: string): string {
  return pattern.trimEnd().replace(/\/$/, "").replace(/^(\*\*\/)+/, "");
}

function partsOf(pattern: string): Part[] {
  const whole = pattern.trimEnd().replace(/\/$/, "").replace(/^\//, "");
  return whole.split("/").map((component) => {
    if (component === "**") return { any: true };
    // A plain name is compared as it is, where the case counts; everything else is left to the matcher.
    if (Deno.build.os === "linux" && !/[*?[\\\n\r\u2028\u2029]/.test(component)) return { name: component };
    return { matcher: new Matcher([{ pattern: `/${component}`, origin: "" }]) };
  });
}
