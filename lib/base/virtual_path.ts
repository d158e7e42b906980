import { encodeUtf8 } from "./bytes.ts";
import { FshError } from "./errors.ts";

/** Longest path on the wire, in bytes of UTF-8 (PATH_MAX of Linux, limits.h). */
export const MAX_PATH_BYTES = 4096;
/** Longest name of one component, in bytes of UTF-8 (NAME_MAX of Linux, limits.h). */
export const MAX_NAME_BYTES = 255;

/** Names that begin so belong to fsh itself: files that are still being written. */
export const PART_PREFIX = ".fsh-part-";

declare const safe: unique symbol;
/** An absolute, `/`-separated virtual path whose every component was checked. Only `safePath` and `childPath` make one. */
export type SafePath = string & { readonly [safe]: true };

export const ROOT = "/" as SafePath;

/**
 * Checks a path as it came from outside. Odd components are rejected, never cleaned up: `.` and `..`, empty ones,
 * NUL, over-long ones, fsh's own part files, and on Windows whatever that system reads as something else.
 * One trailing `/` is allowed.
 *
 * @throws {FshError} PATH_REJECTED or NAME_TOO_LONG, naming the path.
 */
export function safePath(raw: string): SafePath {
  const reject = (detail: string) => new FshError("PATH_REJECTED", { subject: raw, detail });
  if (!raw.startsWith("/")) throw reject("it must begin with /");
  if (raw.length * 3 > MAX_PATH_BYTES && encodeUtf8(raw).length > MAX_PATH_BYTES) {
    throw new FshError("NAME_TOO_LONG", { subject: raw.slice(0, 40) + "…", detail: `over ${MAX_PATH_BYTES} bytes` });
  }
  if (!raw.isWellFormed()) throw reject("it is not valid Unicode");
  if (raw === "/") return ROOT;
  const path = raw.endsWith("/") ? raw.slice(0, -1) : raw;
  for (const name of path.slice(1).split("/")) {
    const odd = oddName(name);
    if (odd === "over-long") {
      throw new FshError("NAME_TOO_LONG", { subject: raw, detail: `a name over ${MAX_NAME_BYTES} bytes` });
    }
    if (odd !== null) throw reject(odd);
  }
  return path as SafePath;
}

/** The path of `name` in the folder `parent`; `name` is one component or, with `/`, several. Rejects as `safePath` does. */
export function childPath(parent: SafePath, name: string): SafePath {
  // With nothing behind it the slash would count as the one that a path may end in.
  if (name === "") throw new FshError("PATH_REJECTED", { subject: parent, detail: "a name is empty" });
  return safePath(parent === "/" ? `/${name}` : `${parent}/${name}`);
}

export function parentPath(path: SafePath): SafePath {
  const cut = path.lastIndexOf("/");
  return (cut <= 0 ? "/" : path.slice(0, cut)) as SafePath;
}

/** The last component; empty for the root. */
export function baseName(path: SafePath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether `path` is `folder` or lies below it. */
export function isWithin(path: SafePath, folder: SafePath): boolean {
  return folder === "/" || path === folder || path.startsWith(folder + "/");
}

/** The path of something below `folder`, relative to it: without a slash at its beginning. */
export function relativePath(folder: SafePath, path: SafePath): string {
  return folder === "/" ? path.slice(1) : path.slice(folder.length + 1);
}

/** Why one component is not acceptable to a platform, or null. */
export function oddName(name: string, os: typeof Deno.build.os = Deno.build.os): string | null {
  if (name === "") return "it has an empty component";
  if (name === "." || name === "..") return `it has a component ${name}`;
  if (name.includes("\0")) return "it has a NUL character";
  if (name.includes("/")) return "a name has a slash";
  if (isReserved(name, os)) return "the name is reserved for unfinished files";
  if (name.length * 3 > MAX_NAME_BYTES && encodeUtf8(name).length > MAX_NAME_BYTES) return "over-long";
  if (os === "windows") {
    // https://learn.microsoft.com/windows/win32/fileio/naming-a-file
    // deno-lint-ignore no-control-regex
    if (/[\u0000-\u001f<>:"\\|?*]/.test(name)) return "it has a character that Windows does not allow";
    if (/[. ]$/.test(name)) return "a name ends in a dot or a space";
    if (/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i.test(name)) {
      return "the name is reserved by Windows";
    }
  }
  return null;
}

/** Two of the platforms don't tell upper from lower case in names. */
function isReserved(name: string, os: typeof Deno.build.os): boolean {
  const begin = name.slice(0, PART_PREFIX.length);
  return (os === "windows" || os === "darwin" ? begin.toLowerCase() : begin) === PART_PREFIX;
}
