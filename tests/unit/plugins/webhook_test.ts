import { createHmac } from "node:crypto";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { OptionValue } from "../../../lib/plugin.ts";
import { createWebhook } from "../../../plugins/webhook/webhook.ts";
import { failure, hookEvent, type StartedPlugin, startPlugin, temporaryFolder } from "../../support/hook_events.ts";

const SECRET = "0123456789abcdef-secret";

interface Received {
  readonly headers: Headers;
  readonly body: string;
  readonly at: number;
}

type Answer = (received: Received, count: number) => Response | Promise<Response>;

/** A receiver on a port of its own, and a started plugin that posts there. */
async function receiver(
  answer: Answer = () => new Response(null, { status: 204 }),
  options: Record<string, OptionValue> = {},
) {
  const received: Received[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const one = { headers: request.headers, body: await request.text(), at: performance.now() };
    received.push(one);
    return await answer(one, received.length);
  });
  const folder = await temporaryFolder();
  const file = `${folder.path}/secret`;
  await Deno.writeTextFile(file, SECRET + "\n");
  const url = `http://127.0.0.1:${server.addr.port}/hook`;
  const it = await startPlugin(createWebhook(), { url, "secret-file": file, backoff: 0.02, ...options });
  const end = async () => {
    await it[Symbol.asyncDispose]();
    await server.shutdown();
    await folder[Symbol.asyncDispose]();
  };
  return { it, received, [Symbol.asyncDispose]: end };
}

function commit(it: StartedPlugin, path: string): Promise<unknown> {
  const facts = {
    command: "put",
    path,
    target: undefined,
    size: 5,
    transfer: "t1",
    bytes: 5,
    seconds: 0.5,
    digest: "sha256:00",
  };
  return it.call(hookEvent("committed", { user: "backup", time: "2031-01-31T09:00:00.000Z", ...facts }));
}

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("webhook: an event is posted as JSON that the secret signed", async () => {
  await using hook = await receiver();
  await commit(hook.it, "/ä b");
  await until(() => hook.received.length === 1);
  const { headers, body } = hook.received[0] ?? { headers: new Headers(), body: "" };
  assertEquals(JSON.parse(body), {
    event: "committed",
    time: "2031-01-31T09:00:00.000Z",
    session: { id: "s1", address: "192.0.2.7" },
    user: "backup",
    command: "put",
    path: "/ä b",
    size: 5,
    transfer: "t1",
    bytes: 5,
    seconds: 0.5,
    digest: "sha256:00",
  });
  assertEquals(headers.get("content-type"), "application/json");
  assertMatch(headers.get("x-fsh-delivery") ?? "", /^[0-9a-f-]{36}$/);
  const [, seconds = "", mac] = /^t=([0-9]+),v1=([0-9a-f]{64})$/.exec(headers.get("x-fsh-signature") ?? "") ?? [];
  assertEquals(mac, createHmac("sha256", SECRET).update(`${seconds}.${body}`).digest("hex"));
  assert(Math.abs(Number(seconds) - Date.now() / 1000) < 10);
});

Deno.test("webhook: a failure is posted with its error, and neither password nor token", async () => {
  await using hook = await receiver();
  const error = { name: "AUTH_FAILED", code: 81, message: "authentication failed" };
  const facts = { target: undefined, size: undefined, bytes: undefined, seconds: 1, error, method: "password" };
  await hook.it.call({ ...hookEvent("failed", facts), password: "open sesame", token: "fsh_x" } as never);
  await until(() => hook.received.length === 1);
  const body = hook.received[0]?.body ?? "";
  assertEquals(JSON.parse(body).error, error);
  assertEquals(body.match(/sesame|fsh_x/), null);
});

Deno.test("webhook: only the events that are wanted are posted", async () => {
  await using hook = await receiver(undefined, { events: ["failed"] });
  await commit(hook.it, "/a");
  await hook.it.plugin.stop?.();
  assertEquals(hook.received.length, 0);
});

Deno.test("webhook: what fails is tried again, later each time, as the same delivery", async () => {
  await using hook = await receiver((_, count) =>
    new Response("x", { status: count < 4 ? [500, 429, 503][count - 1] ?? 500 : 200 })
  );
  await commit(hook.it, "/a");
  await until(() => hook.received.length === 4);
  assertEquals(new Set(hook.received.map(({ headers }) => headers.get("x-fsh-delivery"))).size, 1);
  const gaps = hook.received.slice(1).map(({ at }, i) => at - (hook.received[i]?.at ?? 0));
  for (const [i, gap] of gaps.entries()) assert(gap >= 19 * 2 ** i, `${gaps}`);
  await hook.it.plugin.stop?.();
  assertEquals(hook.it.lines, []);
});

Deno.test("webhook: after five attempts it is given up and logged; what was refused for good at once", async () => {
  for (const [status, attempts] of [[500, 5], [400, 1], [302, 1]] as const) {
    const elsewhere = { location: "http://127.0.0.1:9/" };
    await using hook = await receiver(() => new Response(null, { status, headers: status === 302 ? elsewhere : {} }));
    await commit(hook.it, "/a");
    await until(() => hook.it.lines.length > 0);
    assertEquals(hook.received.length, attempts);
    assertEquals(hook.it.lines.map(({ level, fields }) => [level, fields.error]), [
      ["error", `the receiver answered ${status}`],
    ]);
  }
});

Deno.test("webhook: a receiver that does not answer is given up on, and nobody waits for it", async () => {
  const never = Promise.withResolvers<Response>();
  await using hook = await receiver(() => never.promise, { timeout: 0.05 });
  const begun = performance.now();
  for (let i = 0; i < 100; i++) await commit(hook.it, `/${i}`);
  assert(performance.now() - begun < 500);
  await until(() => hook.it.lines.length > 0);
  assertEquals(hook.it.lines[0]?.fields.error, "no answer within 0.05 s");
  // Before any of them is answered: an answer that came as its request was given up once left its body behind.
  await hook.it.plugin.stop?.();
  never.resolve(new Response());
});

Deno.test("webhook: nobody listens: it is logged without the address", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const url = `http://127.0.0.1:${listener.addr.port}/secret-path`;
  listener.close();
  await using hook = await receiver(undefined, { url, backoff: 0.001 });
  await commit(hook.it, "/a");
  await until(() => hook.it.lines.length > 0);
  assert(!JSON.stringify(hook.it.lines).includes("secret-path"), JSON.stringify(hook.it.lines));
});

Deno.test("webhook: of more than a thousand that wait the oldest are dropped, counted and logged", async () => {
  const gate = Promise.withResolvers<void>();
  await using hook = await receiver(async () => {
    await gate.promise;
    return new Response();
  });
  // Four are under way, a thousand wait.
  for (let i = 0; i < 1_104; i++) await commit(hook.it, `/${i}`);
  assertEquals(hook.it.lines.map(({ fields }) => fields.error), ["too many wait"]);
  gate.resolve();
  await hook.it.plugin.stop?.();
  const paths = hook.received.map(({ body }) => Number(JSON.parse(body).path.slice(1))).sort((a, b) => a - b);
  assertEquals(paths, [0, 1, 2, 3, ...Array.from({ length: 1_000 }, (_, i) => 104 + i)]);
  assertEquals(hook.it.lines.at(-1)?.fields.count, 100);
});

Deno.test("webhook: wrong options are an error at the start", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/secret`;
  await Deno.writeTextFile(file, SECRET);
  const short = `${folder.path}/short`;
  await Deno.writeTextFile(short, "tiny\n");
  const start = (options: Record<string, OptionValue>) => failure(() => startPlugin(createWebhook(), options));
  const url = "http://127.0.0.1:9/";
  assertStringIncludes(await start({ url: "ftp://x/", "secret-file": file }), "it takes http://");
  assertStringIncludes(await start({ url: "http://a:b@x/", "secret-file": file }), "don't belong");
  assertStringIncludes(await start({ url, "secret-file": short }), "fewer than 16");
  assertStringIncludes(await start({ url, "secret-file": `${file}.none` }), "not found");
  assertStringIncludes(await start({ url, "secret-file": file, events: ["log"] }), "option events=log");
  Deno.env.delete("FSH_WEBHOOK_SECRET");
  assertStringIncludes(await start({ url }), "give a secret");
});
