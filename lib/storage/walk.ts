import { childPath, type SafePath } from "../base/virtual_path.ts";
import type { Storage, Stored } from "./storage.ts";

/** An object below the folder that is walked. */
export interface Walked {
  /** `info.name` is the last component only. */
  readonly info: Stored;
  readonly path: SafePath;
}

export interface WalkPage {
  readonly found: readonly Walked[];
  readonly skipped: number;
}

/**
 * Everything below a folder, parents before their children, page by page. Symbolic links are named, not followed. At
 * most one page per level of depth stands in memory. A folder that vanishes or can't be read meanwhile counts as
 * skipped; the first one must be readable.
 */
export async function* walk(storage: Storage, path: SafePath): AsyncIterable<WalkPage> {
  for await (const page of storage.list(path)) {
    let skipped = page.skipped;
    const found: Walked[] = [];
    for (const info of page.entries) {
      try {
        found.push({ info, path: childPath(path, info.name) });
      } catch {
        // A name that no request could use.
        skipped++;
      }
    }
    yield { found, skipped };
    for (const one of found) {
      if (one.info.type !== "directory") continue;
      try {
        yield* walk(storage, one.path);
      } catch {
        yield { found: [], skipped: 1 };
      }
    }
  }
}
