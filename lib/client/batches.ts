import { forEachBounded } from "../base/concurrency.ts";
import { toFshError } from "../base/errors.ts";
import { FRAME_BYTES, SMALL_FILE } from "../commands/small_files.ts";
import { MAX_FILES } from "../wire/field.ts";
import { BYTES_AT_ONCE, endsAll, FILES_AT_ONCE } from "./transfer.ts";

/** What a file costs on its way beyond its bytes, in bytes; so batches of tiny files are not too many at once. */
const FILE_WEIGHT = 16 * 1024;

/** An object of a tree, as far as putting files together needs to know it. */
export interface TreeObject {
  readonly type: string;
  readonly size: number;
}

interface Job<T> {
  readonly items: readonly T[];
  readonly small: boolean;
}

export interface TreeWork<T> {
  readonly describe: (item: T) => TreeObject;
  /**
   * Moves small files together and calls `settled` for each that is in place or has failed by itself. Where it throws,
   * the others are moved one by one.
   */
  readonly batch: (items: T[], settled: (item: T) => void) => Promise<void>;
  /** Moves anything else, or one of a batch that failed as a whole. */
  readonly single: (item: T) => Promise<void>;
}

/** Works through a tree that comes page by page: small files in batches, everything else by itself, within bounds. */
export async function forEachOfTree<T>(pages: AsyncIterable<readonly T[]>, work: TreeWork<T>): Promise<void> {
  const { describe, batch, single } = work;
  const bounds = {
    count: FILES_AT_ONCE,
    weight: BYTES_AT_ONCE,
    weigh: ({ items }: Job<T>) => items.reduce((sum, item) => sum + describe(item).size + FILE_WEIGHT, 0),
  };
  await forEachBounded(jobs(pages, describe), bounds, async ({ items, small }) => {
    const left = new Set(items);
    if (small) {
      try {
        await batch([...items], (item) => left.delete(item));
      } catch (thrown) {
        if (endsAll(toFshError(thrown))) throw thrown;
      }
    }
    for (const item of left) await single(item);
  });
}

async function* jobs<T>(
  pages: AsyncIterable<readonly T[]>,
  describe: (item: T) => TreeObject,
): AsyncGenerator<Job<T>> {
  for await (const page of pages) {
    let items: T[] = [];
    let bytes = 0;
    for (const item of page) {
      const { type, size } = describe(item);
      if (type !== "file" || size > SMALL_FILE) {
        yield { items: [item], small: false };
        continue;
      }
      if (items.length === MAX_FILES || bytes + size > FRAME_BYTES) {
        yield { items, small: true };
        items = [];
        bytes = 0;
      }
      items.push(item);
      bytes += size;
    }
    if (items.length > 0) yield { items, small: true };
  }
}
