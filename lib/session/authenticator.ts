import { safePath } from "../base/virtual_path.ts";
import type { Log } from "../base/log.ts";
import type { Admission, EventSession } from "../hooks/event.ts";
import type { HookRunner } from "../hooks/runner.ts";
import type { Authenticate, Offer } from "./doorkeeper.ts";

/**
 * Asks the plugins. Without one that knows accounts everybody is let in under the name that is claimed; with one, nobody
 * whom none of them vouches for.
 */
export function authenticator(
  runner: HookRunner,
  options: { readonly session: EventSession; readonly log: Log },
): Authenticate {
  const { session, log } = options;
  const ask = async ({ method, user, token, password, key }: Offer): Promise<Admission> => {
    const hooks = runner.current;
    using _held = hooks.acquire();
    const admitted = await hooks.admit({ session, user: { name: user }, method, token, password, key });
    if (!admitted) return { allow: false };
    const { admission, by } = admitted;
    const wrong = "user" in admission ? whatIsWrong(admission.user) : null;
    if (wrong === null) return admission;
    log.warn("a user is not let in", { plugin: by, user, method, reason: wrong });
    return { allow: false, reason: wrong };
  };
  return (offer) => runner.current.has("authenticate") ? ask(offer) : { user: { name: offer.user } };
}

/** Why a user can't be let in although a plugin vouches for him; null: he can. */
function whatIsWrong({ home, expires = Infinity }: { home?: string; expires?: number }): string | null {
  if (Date.now() >= expires) return "the account has expired";
  try {
    if (home !== undefined) safePath(home);
    return null;
  } catch {
    return "the account has no acceptable home";
  }
}
