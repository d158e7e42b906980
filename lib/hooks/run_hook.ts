import type { Soon } from "../base/soon.ts";
import type { Reply } from "./host.ts";
import { describeThrown } from "./thrown.ts";

/** Runs a hook; what it throws or rejects with becomes a failure, in words of `describe`. No promise where the hook answers at once. */
export function runHook(run: () => unknown, describe?: (error: unknown) => string): Soon<Reply> {
  const fail = (error: unknown): Reply => ({ failure: describeThrown(error, describe) });
  try {
    const answer = run();
    if (!isThenable(answer)) return { answer };
    return Promise.resolve(answer).then((answer) => ({ answer }), fail);
  } catch (error) {
    return fail(error);
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
