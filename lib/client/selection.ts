import { globToRegExp, isGlob } from "@std/path";
import { FshError } from "../base/errors.ts";
import { oddName } from "../base/virtual_path.ts";
import type { Remote } from "./client.ts";
import { NameLimit } from "./name_limit.ts";

/** Paths that one pattern may stand for; they are held in memory. */
const MOST_MATCHES = 100_000;

/**
 * Which objects of a tree are meant. A pattern without a slash is compared with names at any depth, one with a slash
 * with whole paths relative to the tree; `**` crosses slashes. What is below an excluded folder is excluded, too, and
 * excluding wins.
 */
export class Selection {
  readonly #include: readonly RegExp[];
  readonly #exclude: readonly RegExp[];

  constructor(patterns: { include?: readonly string[]; exclude?: readonly string[] } = {}) {
    this.#include = (patterns.include ?? []).map(compile);
    this.#exclude = (patterns.exclude ?? []).map(compile);
  }

  /** `path` is relative to the tree, without a slash at either end. Folders are meant unless they are excluded. */
  takes(path: string, isFolder: boolean): boolean {
    for (let cut = path.indexOf("/"); cut !== -1; cut = path.indexOf("/", cut + 1)) {
      if (matches(this.#exclude, path.slice(0, cut))) return false;
    }
    if (matches(this.#exclude, path)) return false;
    return isFolder || this.#include.length === 0 || matches(this.#include, path);
  }

  /** Whether folders come only with what is in them. */
  get onlyFiles(): boolean {
    return this.#include.length > 0;
  }
}

function compile(pattern: string): RegExp {
  const anywhere = pattern.replace(/\/$/, "").includes("/") ? pattern.replace(/^\//, "") : `**/${pattern}`;
  return globToRegExp(anywhere, { os: "linux", globstar: true, extended: false });
}

function matches(patterns: readonly RegExp[], path: string): boolean {
  return patterns.some((pattern) => pattern.test(path));
}

/** Whether a remote path has a component that is a pattern. */
export function hasPattern(path: string): boolean {
  return isGlob(path);
}

/** The paths on the server that a path with patterns means, sorted. A pattern stands for names within one folder. */
export async function expandPattern(client: Remote, path: string, limit = new NameLimit()): Promise<string[]> {
  let found: readonly string[] = [""];
  for (const component of path.split("/").slice(1)) {
    if (!isGlob(component)) {
      found = found.map((folder) => `${folder}/${component}`);
      continue;
    }
    const pattern = globToRegExp(component, { os: "linux", globstar: false, extended: true });
    const next = new Set<string>();
    for (const folder of found) {
      for await (const page of client.list(folder === "" ? "/" : folder, { count: (names) => limit.count(names) })) {
        for (const { name } of page) {
          // No name of one component, whatever it matches.
          if (oddName(name) !== null) continue;
          // As in a shell, a leading dot is matched only by one that is written.
          if (pattern.test(name) && (!name.startsWith(".") || component.startsWith("."))) next.add(`${folder}/${name}`);
        }
        if (next.size > MOST_MATCHES) {
          throw new FshError("TOO_MANY_NAMES", { subject: path, detail: `over ${MOST_MATCHES} match; get the folder` });
        }
      }
    }
    found = [...next];
  }
  return [...found].sort();
}
