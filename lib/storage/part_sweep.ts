import { sleep } from "../base/clock.ts";
import { childPath, oddName, PART_PREFIX, ROOT, type SafePath } from "../base/virtual_path.ts";
import type { FolderNames } from "./folder_names.ts";
import type { HeldName, Jail } from "./jail.ts";

/** Age at which an unfinished file is given up, in milliseconds: a day. */
const PART_LIFETIME = 24 * 60 * 60 * 1000;
/** Milliseconds after each batch of names: a sweep has time. */
const PAUSE = 2;

/** Removes unfinished files that nobody will finish. */
export class PartSweep {
  readonly #jail: Jail;
  readonly #names: FolderNames;
  /** Those that are being written now. */
  readonly #parts: ReadonlySet<string>;

  constructor(jail: Jail, names: FolderNames, parts: ReadonlySet<string>) {
    this.#jail = jail;
    this.#names = names;
    this.#parts = parts;
  }

  /** Removes every part file that was given up a day ago or earlier; answers how many there were. */
  async sweep(signal: AbortSignal, path: SafePath = ROOT): Promise<number> {
    const folders: SafePath[] = [];
    let swept = 0;
    try {
      // A folder that was exchanged for a link meanwhile is another one.
      using held = await this.#jail.strict().hold(path);
      for await (const names of this.#jail.names(held)) {
        if (signal.aborted) return swept;
        for (const { name, isFolder } of names) {
          if (name === null) continue;
          if (isFolder ?? await this.#names.isFolder(held, name)) {
            if (oddName(name) === null) folders.push(childPath(path, name));
          } else if (name.startsWith(PART_PREFIX) && !this.#parts.has(name)) {
            const part = `${held.path}/${name}`;
            const info = await Deno.lstat(part);
            if (!info.isFile || !isGivenUp(info)) continue;
            await Deno.remove(part);
            swept++;
          }
        }
        // A folder may have a million names, and others want to be served meanwhile.
        await sleep(PAUSE);
      }
    } catch {
      // A folder that can't be read holds nothing that this server wrote.
    }
    for (const folder of folders) swept += await this.sweep(signal, folder);
    return swept;
  }

  /** Removes the part files that nobody writes any more, if a folder has nothing else. */
  async removeOrphans({ folder: parent, name: folder }: HeldName): Promise<boolean> {
    using held = this.#jail.at(parent, folder);
    const orphans: string[] = [];
    for await (const { name } of Deno.readDir(held.path)) {
      if (!name.startsWith(PART_PREFIX) || this.#parts.has(name)) return false;
      orphans.push(name);
    }
    await Promise.all(orphans.map((name) => Deno.remove(`${held.path}/${name}`)));
    return true;
  }
}

function isGivenUp(part: Deno.FileInfo): boolean {
  // The time of the last change can't be set, as that of the last modification is shortly before the end.
  const touched = (part.ctime ?? part.mtime)?.getTime() ?? Date.now();
  return Date.now() - touched > PART_LIFETIME;
}
