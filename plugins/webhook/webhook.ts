/**
 * `webhook`: tells another program what was committed and what failed, as signed JSON by HTTP POST.
 *
 * Messages are posted in the background: no transfer waits for them. Each has `X-Fsh-Signature: t=SECONDS,v1=HEX`, the
 * HMAC-SHA256 with the secret over `SECONDS.BODY`, and `X-Fsh-Delivery`, which stays the same when it is tried again.
 * Up to five attempts; up to 1,000 messages wait, and then the oldest are dropped. Several are under way at once, so
 * that they may arrive in another order than they happened: `time` tells.
 *
 * @module
 */
import { FshError, type HookEvent, type Plugin, readText } from "../../lib/plugin.ts";
import { listOption, numberOption, started, textOption } from "../option_values.ts";
import { Delivery } from "./delivery.ts";

const SECRET_VARIABLE = "FSH_WEBHOOK_SECRET";
const MIN_SECRET = 16;
/** Milliseconds that messages have at the end to get away. */
const FLUSH = 5_000;
const EVENTS: readonly string[] = ["committed", "failed"];

export function createWebhook(): Plugin {
  let delivery: Delivery | undefined;
  let wanted: ReadonlySet<string> = new Set();
  const post = (event: HookEvent<"committed"> | HookEvent<"failed">) => {
    if (wanted.has(event.hook) && !isAnswer(event)) started(delivery).post(bodyOf(event));
  };
  return {
    name: "webhook",
    description: "posts what was committed and what failed to a URL, as signed JSON",
    options: {
      url: { type: "string", help: "where to post to: http:// or https://" },
      "secret-file": {
        type: "string",
        optional: true,
        help: `a file with the secret that signs; default: the variable ${SECRET_VARIABLE}`,
      },
      events: { type: "strings", default: [...EVENTS], help: "which: committed, failed" },
      timeout: { type: "number", default: 10, help: "seconds that the receiver has for an answer" },
      backoff: { type: "number", default: 1, help: "seconds before the second attempt; twice as long each time" },
    },
    async start({ options, log }) {
      const events = listOption(options, "events");
      const odd = events.find((name) => !EVENTS.includes(name));
      if (odd !== undefined) {
        throw new FshError("USAGE", { subject: `option events=${odd}`, detail: `it takes ${EVENTS.join(", ")}` });
      }
      wanted = new Set(events);
      delivery = new Delivery({
        url: checkedUrl(textOption(options, "url") ?? ""),
        secret: await readSecret(textOption(options, "secret-file")),
        timeout: Math.max(1, numberOption(options, "timeout") * 1000),
        backoff: numberOption(options, "backoff") * 1000,
        log,
      });
    },
    async stop() {
      await delivery?.stop(FLUSH);
    },
    hooks: { committed: post, failed: post },
  };
}

/** Whoever asks whether something is there, as every put does, and hears that it isn't, has not failed. */
function isAnswer(event: HookEvent<"committed"> | HookEvent<"failed">): boolean {
  return event.hook === "failed" && event.command === "stat" && event.error?.name === "NOT_FOUND";
}

/** Only what is named here: an event may one day have more than is fit for others. */
function bodyOf(event: HookEvent<"committed"> | HookEvent<"failed">): string {
  const { hook, time, session, user, command, path, target, size, transfer, bytes, seconds } = event;
  return JSON.stringify({
    event: hook,
    time,
    session: { id: session.id, address: session.address },
    user: user?.name,
    command,
    path,
    target,
    size,
    transfer,
    bytes,
    seconds,
    ...(event.hook === "committed" ? { digest: event.digest } : {
      method: event.method,
      error: event.error && { name: event.error.name, code: event.error.code, message: event.error.message },
    }),
  });
}

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new FshError("USAGE", { subject: "option url", detail: "it takes http://… or https://…" });
  }
  if (url.username !== "" || url.password !== "") {
    throw new FshError("USAGE", {
      subject: "option url",
      detail: "name and password don't belong in it: others see it",
    });
  }
  return url.href;
}

async function readSecret(file: string | undefined): Promise<string> {
  const subject = file ?? SECRET_VARIABLE;
  const text = file === undefined ? Deno.env.get(SECRET_VARIABLE) : await readText(file);
  if (text === undefined) {
    throw new FshError("USAGE", { subject: "webhook", detail: `give a secret: secret-file, or ${SECRET_VARIABLE}` });
  }
  if (text === null) throw new FshError("NOT_FOUND", { subject });
  const secret = text.trim();
  if (secret.length < MIN_SECRET) {
    throw new FshError("USAGE", { subject, detail: `the secret has fewer than ${MIN_SECRET} characters` });
  }
  return secret;
}
