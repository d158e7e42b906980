import { type ErrorName, FshError } from "../base/errors.ts";

const BY_CODE: Readonly<Record<string, ErrorName>> = {
  ENOENT: "NOT_FOUND",
  EACCES: "NOT_PERMITTED",
  EPERM: "NOT_PERMITTED",
  EEXIST: "EXISTS",
  ENOTDIR: "NOT_DIRECTORY",
  EISDIR: "IS_DIRECTORY",
  ENOTEMPTY: "NOT_EMPTY",
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
  EFBIG: "TOO_LARGE",
  ENAMETOOLONG: "NAME_TOO_LONG",
  EROFS: "READ_ONLY_STORAGE",
  EMFILE: "TOO_MANY_FILES",
  ENFILE: "TOO_MANY_FILES",
  ELOOP: "LINK_LOOP",
};

/** os error numbers that the runtime gives no `code` for (errno.h of Linux). */
const BY_NUMBER: Readonly<Record<string, string>> = {
  "2": "ENOENT",
  "13": "EACCES",
  "17": "EEXIST",
  "18": "EXDEV",
  "20": "ENOTDIR",
  "21": "EISDIR",
  "22": "EINVAL",
  "23": "ENFILE",
  "24": "EMFILE",
  "27": "EFBIG",
  "28": "ENOSPC",
  "30": "EROFS",
  "36": "ENAMETOOLONG",
  "39": "ENOTEMPTY",
  "40": "ELOOP",
  "122": "EDQUOT",
};

/** The errno name of a failed file system call, as far as it can be known. */
export function osCode(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  if ("code" in thrown && typeof thrown.code === "string") return thrown.code;
  const number = /\(os error (\d+)\)/.exec(thrown.message)?.[1];
  return number === undefined ? null : BY_NUMBER[number] ?? null;
}

/**
 * A failed file system call as an FshError about the virtual path `subject`. The runtime's own text, which holds the
 * server's path, stays in `cause`, for the log of this side.
 */
export function osError(thrown: unknown, subject: string): FshError {
  if (thrown instanceof FshError) return thrown.about(subject);
  const code = osCode(thrown);
  // openat2 answers EXDEV where a path leads out of the folder (openat2(2), RESOLVE_BENEATH).
  if (code === "EXDEV") {
    return new FshError("NOT_PERMITTED", { subject, detail: "it leads out of the served folder", cause: thrown });
  }
  const name = code === null ? undefined : BY_CODE[code];
  if (name !== undefined) return new FshError(name, { subject, cause: thrown });
  if (thrown instanceof Deno.errors.NotFound) return new FshError("NOT_FOUND", { subject, cause: thrown });
  if (thrown instanceof Deno.errors.AlreadyExists) return new FshError("EXISTS", { subject, cause: thrown });
  if (thrown instanceof Deno.errors.PermissionDenied) return new FshError("NOT_PERMITTED", { subject, cause: thrown });
  // The runtime's text may hold a path of this machine; the number behind it does not.
  const number = thrown instanceof Error ? /os error \d+/.exec(thrown.message)?.[0] ?? thrown.name : undefined;
  return new FshError("STORAGE_FAILED", { subject, detail: code ?? number, cause: thrown });
}
