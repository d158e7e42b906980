import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { EventSession, User } from "../hooks/event.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import type { ContentCheck } from "./command.ts";

export interface ContentCheckOptions {
  readonly hooks: HookSet;
  readonly session: EventSession;
  readonly user: User;
  /** In lower case. */
  readonly command: string;
  readonly log: Log;
}

/** Has the plugins look at what a put brings; each chunk is theirs, a copy. */
export function contentCheck({ hooks, session, user, command, log }: ContentCheckOptions): ContentCheck {
  return {
    async check(chunks) {
      const rulings = await hooks.rule(
        "content",
        chunks.map(({ place, size, transfer, chunk, offset }) => {
          return { session, user, command, path: place.virtual, size, transfer, chunk: chunk.slice(), offset };
        }),
      );
      return chunks.map(({ place }, at) => {
        const { allow, by, reason } = rulings[at] ?? { allow: false, by: null };
        if (allow) return null;
        log.info("refused", { command, path: place.virtual, rule: "content", plugin: by ?? undefined, reason });
        return new FshError("NOT_PERMITTED", { subject: place.asked, detail: reason });
      });
    },
  };
}
