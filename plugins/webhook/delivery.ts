import { createHmac } from "node:crypto";
import type { PluginLog } from "../../lib/plugin.ts";

/** Messages that may wait; when there are more, the oldest is dropped. */
export const MAX_WAITING = 1_000;
const ATTEMPTS = 5;
/** Requests under way at once. */
const AT_ONCE = 4;
/** Milliseconds between two lines about messages that were lost. */
const COMPLAIN_EVERY = 10_000;
/** Answers that may be different the next time, beside all from 500 on (RFC 9110, RFC 6585). */
const TRANSIENT: ReadonlySet<number> = new Set([408, 425, 429]);

export interface DeliveryOptions {
  readonly url: string;
  readonly secret: string;
  /** Milliseconds for one request. */
  readonly timeout: number;
  /** Milliseconds before the second attempt; each further one waits twice as long. */
  readonly backoff: number;
  readonly log: PluginLog;
}

interface Message {
  readonly id: string;
  readonly body: string;
}

/**
 * `t=SECONDS,v1=HEX`: HMAC-SHA256 with the secret over `SECONDS.BODY`. The time is in it so that a recorded request can be
 * told from a fresh one.
 */
export function sign(body: string, by: { secret: string; seconds: number }): string {
  const mac = createHmac("sha256", by.secret).update(`${by.seconds}.${body}`, "utf8").digest("hex");
  return `t=${by.seconds},v1=${mac}`;
}

/** Posts messages in the background, a few at once, each until it is taken or the attempts are used up. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #waiting: Message[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #given = new AbortController();
  /** So far, and as far as the log has it. */
  #lost = 0;
  #told = 0;
  #complained = -Infinity;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  post(body: string): void {
    this.#waiting.push({ id: crypto.randomUUID(), body });
    if (this.#waiting.length > MAX_WAITING) {
      this.#lose(this.#waiting.shift(), "too many wait");
    }
    this.#start();
  }

  /** Waits up to `ms` milliseconds for what is waiting, then gives up on the rest and says how much that was. */
  async stop(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#given.abort(new Error("stopped")), ms);
    while (this.#running.size > 0) await Promise.race(this.#running);
    clearTimeout(timer);
    if (this.#lost > this.#told) this.#complain("stopped");
  }

  #start(): void {
    while (this.#running.size < AT_ONCE) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      const work = this.#deliver(message).finally(() => {
        this.#running.delete(work);
        this.#start();
      });
      this.#running.add(work);
    }
  }

  async #deliver(message: Message): Promise<void> {
    let problem = "stopped";
    for (let attempt = 1; attempt <= ATTEMPTS && !this.#given.signal.aborted; attempt++) {
      const outcome = await this.#attempt(message);
      if (outcome.done) return;
      problem = outcome.problem;
      if (outcome.final) break;
      if (attempt < ATTEMPTS) await this.#pause(this.#options.backoff * 2 ** (attempt - 1));
    }
    this.#lose(message, problem);
  }

  async #attempt({ id, body }: Message): Promise<{ done: true } | { done: false; final: boolean; problem: string }> {
    const { url, secret, timeout } = this.#options;
    const limit = AbortSignal.timeout(timeout);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "user-agent": "fsh-webhook",
          "x-fsh-delivery": id,
          "x-fsh-signature": sign(body, { secret, seconds: Math.floor(Date.now() / 1000) }),
        },
        body,
        // The signature is for this receiver and nobody else.
        redirect: "manual",
        signal: AbortSignal.any([limit, this.#given.signal]),
      });
      await response.body?.cancel();
      if (response.ok) return { done: true };
      const { status } = response;
      return { done: false, final: status < 500 && !TRANSIENT.has(status), problem: `the receiver answered ${status}` };
    } catch (error) {
      const problem = limit.aborted ? `no answer within ${timeout / 1000} s` : causeOf(error);
      return { done: false, final: false, problem };
    }
  }

  /** Up to a quarter longer, so that many don't come back at the same moment. */
  #pause(ms: number): Promise<void> {
    const { signal } = this.#given;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms * (1 + Math.random() / 4));
      signal.addEventListener("abort", done);
    });
  }

  #lose(message: Message | undefined, problem: string): void {
    this.#lost++;
    if (performance.now() - this.#complained >= COMPLAIN_EVERY) this.#complain(problem, message?.id);
  }

  #complain(problem: string, id = ""): void {
    this.#complained = performance.now();
    this.#told = this.#lost;
    this.#options.log.error("webhook: messages lost", { count: this.#lost, error: problem, ...(id ? { id } : {}) });
  }
}

/** Without the address: it may hold a secret of its own. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return "the request failed";
  const cause = error.cause instanceof Error ? error.cause.message : error.message;
  return cause.replace(/https?:\/\/[^\s)]+/g, "the receiver");
}
