import { decodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { osError } from "../storage/os_error.ts";

/** More is no password, token or key. */
const MOST_BYTES = 64 * 1024;
/** Rights of the group and of others. */
const OTHERS = 0o077;

/**
 * Reads a secret as text. A file that others can read, or could have written, holds no secret.
 *
 * @throws {FshError} USAGE, naming the file and what is wrong with it; NOT_FOUND, NOT_PERMITTED
 */
export async function readSecretFile(path: string): Promise<string> {
  const wrong = (detail: string) => new FshError("USAGE", { subject: path, detail });
  const bytes = new Uint8Array(MOST_BYTES + 1);
  let have = 0;
  try {
    using file = await Deno.open(path);
    const { mode, isDirectory } = await file.stat();
    if (isDirectory) throw wrong("is a folder");
    if (mode !== null && (mode & OTHERS) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(4, "0");
      throw wrong(`others can get at it (mode ${rights}); it is for its owner only: chmod 600 ${path}`);
    }
    for (let read; have < bytes.length && (read = await file.read(bytes.subarray(have))) !== null;) have += read;
  } catch (error) {
    throw error instanceof FshError ? error : osError(error, path);
  }
  if (have > MOST_BYTES) throw wrong("far too long for a secret");
  try {
    return decodeUtf8(bytes.subarray(0, have));
  } catch {
    throw wrong("not UTF-8");
  } finally {
    bytes.fill(0);
  }
}

/** As `readSecretFile`, for a password or a token: one newline at the end is no part of it. */
export async function readSecretLine(path: string): Promise<string> {
  const secret = (await readSecretFile(path)).replace(/\r?\n$/, "");
  if (secret === "") throw new FshError("USAGE", { subject: path, detail: "it is empty" });
  return secret;
}
