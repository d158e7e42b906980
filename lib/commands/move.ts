import { command, type RequestOpener } from "../session/command.ts";
import { OPTION_NO_REPLACE } from "../wire/frames.ts";
import { expect } from "./body.ts";

export const moveCommand = command({
  request: "MOVE",
  writes: true,
  async serve(stream, { from, to, options }, { storage, guard }) {
    const source = await guard.write(from);
    const target = await guard.write(to);
    await storage.rename(source, target, { noReplace: (options & OPTION_NO_REPLACE) !== 0 });
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

export async function move(
  session: RequestOpener,
  from: string,
  to: string,
  options: { noReplace?: boolean } = {},
): Promise<void> {
  await expect(session.open("MOVE", { from, to, options: options.noReplace ? OPTION_NO_REPLACE : 0 }), "DONE");
}
