import type { Clock } from "../base/clock.ts";
import { type FshError, isError, toFshError } from "../base/errors.ts";
import type { Rate } from "../base/rate_limiter.ts";
import { COMMANDS } from "../commands/registry.ts";
import type { HookSet } from "../hooks/hook_set.ts";
import type { WorkShare } from "../base/work_turns.ts";
import type { CommandContext, RequestBounds } from "../session/command.ts";
import { contentCheck } from "../session/content_check.ts";
import { Evaluator } from "../session/evaluator.ts";
import { Guard } from "../session/guard.ts";
import type { Storage } from "../storage/storage.ts";
import type { Message } from "../wire/codec.ts";
import type { RequestName } from "../wire/frames.ts";
import { limitOf } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import { RequestReport } from "./report.ts";
import type { ServedStream } from "./served.ts";
import type { Visit } from "./visit.ts";

export interface RequestOptions {
  readonly visit: Visit;
  /** The rules that hold when the request begins hold to its end. */
  readonly hooks: HookSet;
  readonly storage: Storage;
  readonly readOnly: boolean;
  readonly puts: CommandContext["puts"];
  readonly limiter: Rate | undefined;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly bounds: RequestBounds;
  readonly work: WorkShare;
  /** What is wrong with the request as it stands: it is answered with that, and nobody is asked about it. */
  readonly wrong?: FshError | null;
}

/** Requests that move files. */
const TRANSFERS: readonly RequestName[] = ["GET", "PUT", "GETS", "PUTS"];

/** Answers one request: finds its command, stands the guard before it, and tells log and plugins what came of it. */
export async function serveRequest(stream: ServedStream, request: Message, options: RequestOptions): Promise<void> {
  const { visit, hooks, storage, readOnly, puts, limiter, clock, metrics, bounds, work, wrong } = options;
  const name = request.name as RequestName;
  const command = name.toLowerCase();
  const begun = clock.now();
  const seconds = () => Number(((clock.now() - begun) / 1000).toFixed(3));
  if (visit.preparing) await visit.preparing;
  const { session, user, log } = visit;
  using _held = hooks.acquire();
  const evaluator = new Evaluator({ hooks, session, user, readOnly, storage });
  const guard = new Guard({ evaluator, command, writes: COMMANDS[name].writes, log });
  const transfer = `${session.id}.${stream.id}`;
  const report = new RequestReport({ hooks, session, user, command, transfer, seconds, subject: () => guard.subject });
  const content = hooks.has("content") ? contentCheck({ hooks, session, user, command, log }) : undefined;
  const facts = () => ({ command: name, path: wrong ? undefined : pathOf(request), seconds: seconds() });
  const hit = new Set<string>();
  const moves = TRANSFERS.includes(name) ? 1 : 0;
  metrics.transfers += moves;
  try {
    if (wrong) throw wrong;
    await COMMANDS[name].serve(stream, request.fields, {
      work: work.task(stream.signal),
      storage: evaluator.strict ? storage.strict() : storage,
      guard,
      report,
      content,
      log,
      limiter,
      puts,
      bounds,
      refused: (error) => {
        // One line for all of a request's files that hit the same limit.
        if (limitOf(error) && !hit.has(error.error)) log.info("failed", { ...facts(), ...errorFields(error) });
        hit.add(error.error);
        metrics.failed(error);
      },
      user: user.name,
    });
    log.debug("done", facts());
    report.finished(null);
    metrics.answered(name, null);
  } catch (thrown) {
    // Where it was ended for its slowness, what failed then is only a consequence.
    const { reason } = stream.signal;
    const failure = guard.told(toFshError(isError(reason, "TOO_SLOW", "STALLED") ? reason : thrown));
    log.info("failed", { ...facts(), ...errorFields(failure) });
    report.finished(failure);
    metrics.answered(name, failure);
    throw failure;
  } finally {
    metrics.transfers -= moves;
  }
}

function pathOf({ fields }: Message): string | undefined {
  return "path" in fields ? fields.path : "from" in fields ? fields.from : undefined;
}

function errorFields(error: FshError) {
  return { error: error.error, reason: error.message, cause: causeOf(error) };
}

function causeOf(error: FshError): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}
