import { command, type RequestOpener } from "../session/command.ts";
import type { FrameFields } from "../wire/frames.ts";
import { expect } from "./exchange.ts";

export const statCommand = command({
  request: "STAT",
  writes: false,
  async serve(stream, { path }, { storage, guard }) {
    const { type, size, modified, mode } = await storage.stat((await guard.admit(path)).real);
    await stream.send("INFO", { type, size, modified, mode, offset: 0 }, { fin: true });
  },
});

export type Info = FrameFields<"INFO">;

export async function stat(session: RequestOpener, path: string): Promise<Info> {
  return (await expect(session.open("STAT", { path }), "INFO")).fields;
}
