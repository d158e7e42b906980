import type { FileFacts } from "./regular_file.ts";
import type { Stored, StoredType } from "./storage.ts";

/** A time beyond what a Date holds is no time. */
function validTime(time: Date | null): number | null {
  const ms = time?.getTime() ?? NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** What the system tells of a file, as storages tell it. */
export function stored(name: string, info: FileFacts): Stored {
  const type: StoredType = info.isFile ? "file" : info.isDirectory ? "directory" : info.isSymlink ? "symlink" : "other";
  return {
    name,
    type,
    size: info.isFile ? info.size : 0,
    modified: validTime(info.mtime),
    mode: info.mode === null ? null : info.mode & 0o7777,
  };
}
