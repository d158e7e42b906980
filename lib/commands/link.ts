import { FshError, isError } from "../base/errors.ts";
import { command, type RequestOpener } from "../session/command.ts";
import { expect } from "./body.ts";

export const readLinkCommand = command({
  request: "READLINK",
  writes: false,
  async serve(stream, { path }, { storage, guard }) {
    await stream.send("TARGET", { target: await storage.readLink(await guard.read(path)) }, { fin: true });
  },
});

export const symlinkCommand = command({
  request: "SYMLINK",
  writes: true,
  async serve(stream, { path, target }, { storage, guard }) {
    const place = await guard.write(path);
    // Nobody here would follow it, but other programs would.
    const refusal = new FshError("NOT_PERMITTED", { subject: path, detail: "the link would lead out of the folder" });
    if (!staysInside(target, path.slice(1))) throw refusal;
    await storage.symlink(place, target);
    // Its text is not all: other links on the way may lead it further.
    const leadsOut = await storage.stat(place).then(() => false, (error) => isError(error, "NOT_PERMITTED"));
    if (leadsOut) {
      await storage.remove(place);
      throw refusal;
    }
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

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
