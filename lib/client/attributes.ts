import type { FileAttributes } from "../storage/storage.ts";

/** What a file system may know; beyond it a time means nothing (ECMA-262, 21.4.1.1: the range of a time value). */
const LAST_MOMENT = 8.64e15;
/** Permission bits without set-user-ID, set-group-ID and sticky, which no server has to give away on this machine. */
const PERMISSIONS = 0o777;

/** Time and, with `preserve`, permission bits that a server told, as far as this side takes them over. */
export function localAttributes(
  told: { readonly modified: number | null; readonly mode: number | null },
  preserve = false,
): FileAttributes {
  const { modified, mode } = told;
  return {
    modified: modified !== null && Math.abs(modified) <= LAST_MOMENT ? modified : null,
    mode: preserve && mode !== null ? mode & PERMISSIONS : null,
  };
}
