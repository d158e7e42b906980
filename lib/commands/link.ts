import { FshError, isError } from "../base/errors.ts";
import { childPath, parentPath, ROOT, type SafePath, safePath } from "../base/virtual_path.ts";
import { command, type RequestOpener } from "../session/command.ts";
import type { Storage } from "../storage/storage.ts";
import { expect } from "./exchange.ts";

export const readLinkCommand = command({
  request: "READLINK",
  writes: false,
  async serve(stream, { path }, { storage, guard }) {
    const place = await guard.admit(path, { follow: false });
    await stream.send("TARGET", { target: await storage.readLink(place.real) }, { fin: true });
  },
});

export const symlinkCommand = command({
  request: "SYMLINK",
  writes: true,
  async serve(stream, { path, target }, { storage, guard, report }) {
    // Nobody here would follow it, but other programs would.
    const refusal = new FshError("NOT_PERMITTED", { subject: path, detail: "the link would lead out of the folder" });
    const asked = safePath(path);
    const inside = staysInside(target, asked.slice(1));
    const place = await guard.admit(path, inside ? { target: linkedPath(asked, target) } : {});
    if (!inside) throw refusal;
    const leadsTo = linkedPath(place.real, target);
    // The storage follows no links then, so where this one leads has to be known before it is made.
    if (guard.strict) await guard.admitLink(place, leadsTo);
    await storage.symlink(place.real, target);
    // Its text is not all: other links on the way may lead it further.
    if (!guard.strict && await leadsOut(storage, place.real)) {
      await storage.remove(place.real);
      throw refusal;
    }
    report.committed({ place, target: leadsTo });
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

async function leadsOut(storage: Storage, link: SafePath): Promise<boolean> {
  return await storage.stat(link).then(() => false, (error) => isError(error, "NOT_PERMITTED"));
}

/**
 * Where a link at `path` leads by its text, which `staysInside`.
 *
 * @throws {FshError} PATH_REJECTED, NAME_TOO_LONG, NOT_PERMITTED where the text leads out after all
 */
export function linkedPath(path: SafePath, target: string): SafePath {
  let at = parentPath(path);
  for (const component of target.split("/")) {
    if (component === "" || component === ".") continue;
    if (component !== "..") at = childPath(at, component);
    else if (at === ROOT) throw new FshError("NOT_PERMITTED", { subject: path, detail: "the link would lead out" });
    else at = parentPath(at);
  }
  return at;
}

/** Whether a symbolic link at `path`, relative to a tree, leads to somewhere in that tree as far as its text tells. */
export function staysInside(target: string, path: string): boolean {
  if (target.startsWith("/") || target === "") return false;
  let depth = path.split("/").length - 1;
  let down = false;
  for (const component of target.split("/")) {
    if (component !== "..") down = true;
    // Up again after the way down: what lies between may be a link, and then that is elsewhere.
    else if (down || --depth < 0) return false;
  }
  return true;
}

export async function readLink(session: RequestOpener, path: string): Promise<string> {
  return (await expect(session.open("READLINK", { path }), "TARGET")).fields.target;
}

export async function symlink(session: RequestOpener, path: string, target: string): Promise<void> {
  await expect(session.open("SYMLINK", { path, target }), "DONE");
}
