import { command, type RequestOpener } from "../session/command.ts";
import type { FileAttributes } from "../storage/storage.ts";
import { expect } from "./exchange.ts";

export const touchCommand = command({
  request: "TOUCH",
  writes: true,
  async serve(stream, { path, modified, mode }, { storage, guard, report }) {
    const place = await guard.admit(path, { follow: true });
    await storage.touch(place.real, { modified, mode });
    report.committed({ place });
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

export async function touch(session: RequestOpener, path: string, attributes: FileAttributes): Promise<void> {
  const { modified = null, mode = null } = attributes;
  await expect(session.open("TOUCH", { path, modified, mode }), "DONE");
}
