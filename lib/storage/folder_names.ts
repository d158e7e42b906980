import type { Soon } from "../base/soon.ts";
import { PART_PREFIX } from "../base/virtual_path.ts";
import type { Held, Jail } from "./jail.ts";
import { osError } from "./os_error.ts";
import type { Patience } from "./patience.ts";
import type { Page, Stored } from "./storage.ts";
import { stored } from "./stored.ts";

/** Names looked up at once while listing. */
const LOOKUPS = 64;

/** What became of a name of a listing; null: it is nobody's business, or gone meanwhile. */
type LookedUp = Stored | "skipped" | null;

/** The names of folders, and what they stand for; unfinished files are left out. */
export class FolderNames {
  readonly #jail: Jail;
  readonly #patience: Patience;

  constructor(jail: Jail, patience: Patience) {
    this.#jail = jail;
    this.#patience = patience;
  }

  /** Everything in a held folder, batch by batch. */
  async *pages(folder: Held): AsyncIterable<Page> {
    for await (const names of this.#jail.names(folder)) {
      let skipped = 0;
      const entries: Stored[] = [];
      for (let at = 0; at < names.length; at += LOOKUPS) {
        const looking = names.slice(at, at + LOOKUPS).map(({ name }) => this.#lookUp(folder, name));
        // Mostly all are there at once; a promise for each would take as long as the look.
        for (const one of looking.every(isThere) ? looking : await Promise.all(looking)) {
          if (one === "skipped") skipped++;
          else if (one !== null) entries.push(one);
        }
      }
      yield { entries, skipped };
    }
  }

  /** Whether a name is that of a folder, on a file system that the jail takes in. */
  async isFolder(folder: Held, name: string): Promise<boolean> {
    const info = await this.#lookUp(folder, name);
    return info !== null && info !== "skipped" && info.type === "directory";
  }

  /** One name of a listing. */
  #lookUp(folder: Held, name: string | null): Soon<LookedUp> {
    if (name === null) return "skipped";
    if (name.startsWith(PART_PREFIX)) return null;
    try {
      if (this.#jail.isElsewhere(folder, name)) return { name, type: "other", size: 0, modified: null, mode: null };
      const info = this.#patience.isExhausted ? null : this.#patience.watch(() => this.#jail.describe(folder, name));
      if (info === null) return this.#lookUpLater(folder, name);
      const { type, size, modified, mode } = info;
      return { name, type, size: type === "file" ? size : 0, modified, mode };
    } catch (error) {
      return notLookedUp(error, name);
    }
  }

  async #lookUpLater(folder: Held, name: string): Promise<LookedUp> {
    const path = `${folder.path}/${name}`;
    try {
      return stored(name, await this.#patience.call(() => Deno.lstatSync(path), () => Deno.lstat(path)));
    } catch (error) {
      return notLookedUp(error, name);
    }
  }
}

function isThere(one: Soon<LookedUp>): one is LookedUp {
  return !(one instanceof Promise);
}

function notLookedUp(error: unknown, name: string): "skipped" | null {
  return osError(error, name).error === "NOT_FOUND" ? null : "skipped";
}
