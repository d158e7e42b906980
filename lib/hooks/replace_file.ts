import { encodeUtf8 } from "../base/bytes.ts";
import { sleep } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";

/** How long another process may hold the file before this one gives up, in milliseconds. */
const LOCK_WAIT = 10_000;
const LOCK_POLL = 20;

export interface ReplaceOptions {
  /** Gives up waiting for another process. */
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for another process; default: 10 s. */
  readonly wait?: number;
}

/**
 * Replaces a small text file as a whole: nobody ever reads half of it, and two that do it at once come one after the
 * other. `change` is given the present content (null: there is no such file) and answers the new one; if it throws,
 * nothing is changed. The file is for its owner only (0600); root keeps the owner that it had.
 *
 * The part file beside it (`NAME.part`) is also the lock: a process that dies leaves one that the next takes over.
 *
 * @throws {FshError} LOCKED: another process did not finish in time; NOT_FOUND, NOT_PERMITTED, NO_SPACE,
 * STORAGE_FAILED: the file system refused.
 */
export async function replaceFile(
  path: string,
  change: (old: string | null) => string | Promise<string>,
  options: ReplaceOptions = {},
): Promise<void> {
  // Where the name is a symbolic link, the file that it leads to is replaced.
  const target = await Deno.realPath(path).catch(() => path);
  const part = `${target}.part`;
  const file = await openLocked(part, path, options);
  let done = false;
  try {
    const old = await readText(target);
    const bytes = encodeUtf8(await change(old));
    await file.truncate();
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await keepOwner(part, target);
    await file.sync();
    await Deno.rename(part, target);
    done = true;
  } catch (error) {
    throw fileError(error, path);
  } finally {
    if (!done) await Deno.remove(part).catch(() => {});
    file.close();
  }
}

/** The file's text, or null if there is none. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw fileError(error, path);
  }
}

/** As `readText`, where there has to be such a file. */
export async function requireText(path: string): Promise<string> {
  const text = await readText(path);
  if (text === null) throw new FshError("NOT_FOUND", { subject: path });
  return text;
}

async function openLocked(part: string, subject: string, options: ReplaceOptions): Promise<Deno.FsFile> {
  const { signal, wait = LOCK_WAIT } = options;
  const until = performance.now() + wait;
  for (;;) {
    const file = await Deno.open(part, { read: true, write: true, create: true, mode: 0o600 }).catch((error) => {
      throw fileError(error, subject);
    });
    try {
      if (await file.tryLock(true) && await isSame(file, part)) return file;
    } catch (error) {
      file.close();
      throw fileError(error, subject);
    }
    file.close();
    if (signal?.aborted) throw signal.reason;
    if (performance.now() > until) {
      throw new FshError("LOCKED", { subject, detail: "another process is changing it; try again" });
    }
    await sleep(LOCK_POLL);
  }
}

/** Whether `path` still names the open file: the one who had the lock before may have renamed or removed it. */
async function isSame(file: Deno.FsFile, path: string): Promise<boolean> {
  const [own, named] = await Promise.all([file.stat(), Deno.stat(path).catch(() => null)]);
  return named !== null && named.ino === own.ino && named.dev === own.dev;
}

async function keepOwner(part: string, target: string): Promise<void> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return;
  const before = await Deno.stat(target).catch(() => null);
  if (before && before.uid !== 0) await Deno.chown(part, before.uid, before.gid);
}

/** A failed call as an FshError about a file of the operator's; not for strangers. */
export function fileError(thrown: unknown, subject: string): FshError {
  if (thrown instanceof FshError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Deno.errors.NotFound) return new FshError("NOT_FOUND", { subject, cause: thrown });
  if (thrown instanceof Deno.errors.IsADirectory) return new FshError("IS_DIRECTORY", { subject, cause: thrown });
  if (thrown instanceof Deno.errors.PermissionDenied) return new FshError("NOT_PERMITTED", { subject, cause: thrown });
  if (/os error (28|122)\)/.test(text)) return new FshError("NO_SPACE", { subject, cause: thrown });
  return new FshError("STORAGE_FAILED", { subject, detail: text, cause: thrown });
}
