import { FshError, isError } from "../base/errors.ts";
import { command, type CommandContext, type Place, type RequestOpener } from "../session/command.ts";
import { OPTION_NO_REPLACE } from "../wire/frames.ts";
import { expect } from "./exchange.ts";
import { checkTree } from "./guarded_tree.ts";

export const moveCommand = command({
  request: "MOVE",
  writes: true,
  async serve(stream, { from, to, options }, context) {
    const { storage, guard, report } = context;
    const source = await guard.admit(from, { target: to });
    const target = await guard.admit(to);
    if (guard.strict) await checkBelow(source, target, { ...context, signal: stream.signal });
    await storage.rename(source.real, target.real, { noReplace: (options & OPTION_NO_REPLACE) !== 0 });
    report.committed({ place: source, target: target.virtual });
    await stream.send("DONE", { count: 1, skipped: 0 }, { fin: true });
  },
});

/**
 * What moves with a folder must be allowed at both ends. The system moves a folder as it is: what is created in it after
 * this moves, too.
 */
async function checkBelow(
  source: Place,
  target: Place,
  context: CommandContext & { readonly signal: AbortSignal },
): Promise<void> {
  const detail = "not everything in it may be moved there";
  const hidden = () => new FshError("NOT_PERMITTED", { subject: source.asked, detail });
  if (await isLink(source, context)) return;
  try {
    await checkTree(source, { ...context, hidden, target });
  } catch (error) {
    if (!isError(error, "NOT_DIRECTORY")) throw error;
  }
}

/** A symbolic link moves itself, not what it leads to. */
async function isLink({ real }: Place, { storage }: CommandContext): Promise<boolean> {
  try {
    await storage.readLink(real);
    return true;
  } catch (error) {
    if (isError(error, "NOT_LINK")) return false;
    throw error;
  }
}

export async function move(
  session: RequestOpener,
  from: string,
  to: string,
  options: { noReplace?: boolean } = {},
): Promise<void> {
  await expect(session.open("MOVE", { from, to, options: options.noReplace ? OPTION_NO_REPLACE : 0 }), "DONE");
}
