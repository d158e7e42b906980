import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { Log, type LogRecord } from "../../lib/base/log.ts";
import { launchSandbox } from "../../lib/cli/sandbox.ts";
import { Deadline } from "../../lib/hooks/deadline.ts";
import type { EventFacts } from "../../lib/hooks/event.ts";
import { makeEvent, type PluginHost, type Reply } from "../../lib/hooks/host.ts";
import { loadPlugin } from "../../lib/hooks/plugin_loader.ts";
import { readGivenOptions } from "../../lib/hooks/plugin_options.ts";
import { repliesOf } from "../support/replies.ts";

const SESSION = { id: "1", address: "127.0.0.1", port: 1, secure: true };

const SOURCE = `
import { definePlugin, type HookEvent } from "fsh/plugin";
import { isKey } from "./parts/keys.ts";

let started = "";
export default definePlugin({
  name: "subject",
  description: "what is tried here",
  options: { reason: { type: "string", default: "keys stay here", help: "what to say" } },
  cache: { filterPath: 5 },
  deadlines: { authorize: 700 },
  failOpen: ["content"],
  ahead: ["authorize"],
  methods: ["token"],
  start({ options, log }) {
    started = String(options.reason);
    log.info("begun", { options: 1 });
  },
  stop() {},
  hooks: {
    async authorize(event, { options, signal }) {
      await Promise.resolve();
      if (event.path === "/throws") throw new Error("thrown here");
      if (event.path === "/rejects") return await Promise.reject(new TypeError("rejected"));
      if (event.path === "/text") throw "no error at all";
      if (event.path === "/waits") {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return { allow: false, reason: "aborted" };
      }
      if (isKey(event.path)) return { allow: false, reason: started + "/" + options.reason };
    },
    authenticate: ({ token }: HookEvent<"authenticate">) => token === "t" ? { user: { name: "backup" } } : undefined,
    content({ chunk, offset }) {
      return { allow: chunk.length === 3 && chunk[2] === 255, reason: String(offset) };
    },
    log(event, { log }) {
      log.warn("saw " + event.message);
    },
  },
});
`;

/** The line of the plugin's own source that throws. */
const LINE = SOURCE.split("\n").findIndex((line) => line.includes("thrown here")) + 1;

interface Running extends AsyncDisposable {
  readonly host: PluginHost;
  readonly records: readonly LogRecord[];
}

/** The same file, run by each kind of host. */
async function run(kind: "in process" | "sandbox", options: readonly string[] = []): Promise<Running> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-plugin-" });
  await Deno.mkdir(join(folder, "parts"));
  const file = join(folder, "subject.ts");
  await Deno.writeTextFile(file, SOURCE);
  await Deno.writeTextFile(
    join(folder, "parts", "keys.ts"),
    "export const isKey = (path: string): boolean => path.endsWith('.key');\n",
  );
  const records: LogRecord[] = [];
  const { host } = await loadPlugin(file, {
    plugins: [file],
    options: readGivenOptions(options),
    allow: [],
    trust: kind === "sandbox" ? [] : ["subject"],
    shipped: {},
    launch: launchSandbox,
    log: new Log("debug", (record) => records.push(record)),
    print: () => {},
  });
  return {
    host,
    records,
    async [Symbol.asyncDispose]() {
      await host.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function authorize(path: string) {
  const facts: EventFacts<"authorize"> = {
    session: SESSION,
    command: "get",
    path,
    target: undefined,
    size: undefined,
  };
  return makeEvent("authorize", facts);
}

for (const kind of ["in process", "sandbox"] as const) {
  Deno.test(`${kind}: says what the plugin is`, async () => {
    await using running = await run(kind);
    const { name, description, hooks, cache, deadlines, failOpen, ahead, methods } = running.host.manifest;
    assertEquals({ name, description }, { name: "subject", description: "what is tried here" });
    assertEquals(hooks, ["authenticate", "authorize", "content", "log"]);
    assertEquals({ cache, deadlines, failOpen, ahead, methods }, {
      cache: { filterPath: 5 },
      deadlines: { authorize: 700 },
      failOpen: ["content"],
      ahead: ["authorize"],
      methods: ["token"],
    });
  });

  Deno.test(`${kind}: a reply for each event, in order; failures are replies, too`, async () => {
    await using running = await run(kind, ["subject.reason=given"]);
    const paths = ["/a", "/b.key", "/throws", "/rejects", "/text", "/c.key", "/d"];
    const replies = await repliesOf(running.host, { hook: "authorize", events: paths.map(authorize) });
    assertEquals(replies.length, paths.length);
    const refusal = { answer: { allow: false, reason: "given/given" } };
    assertEquals([replies[1], replies[5]], [refusal, refusal]);
    for (const index of [0, 6]) assertEquals((replies[index] as { answer?: unknown }).answer, undefined);
    const failures = [2, 3, 4].map((index) => String((replies[index] as { failure: string }).failure));
    assertStringIncludes(failures[0] ?? "", "thrown here");
    assertStringIncludes(failures[1] ?? "", "TypeError: rejected");
    assertStringIncludes(failures[2] ?? "", "no error at all");
    if (kind === "sandbox") assertMatch(failures[0] ?? "", new RegExp(`subject\\.ts:${LINE}:\\d+`));
  });

  Deno.test(`${kind}: bytes arrive as they are`, async () => {
    await using running = await run(kind);
    const event = (chunk: Uint8Array) =>
      makeEvent("content", { session: SESSION, command: "put", path: "/a", size: 3, transfer: "1", chunk, offset: 7 });
    const chunks = [new Uint8Array([1, 0, 255]), new Uint8Array(), new Uint8Array(1024 * 1024)];
    const replies = await repliesOf(running.host, { hook: "content", events: chunks.map(event) });
    const allowed = replies.map((reply) => (reply as { answer: { allow: boolean } }).answer.allow);
    assertEquals(allowed, [true, false, false]);
  });

  Deno.test(`${kind}: an aborted call is told so`, async () => {
    await using running = await run(kind);
    const deadline = new Deadline();
    const call = repliesOf(running.host, { hook: "authorize", events: [authorize("/waits")], deadline });
    setTimeout(() => deadline.pass(), 50);
    assertEquals(await call, [{ answer: { allow: false, reason: "aborted" } }]);
  });

  Deno.test(`${kind}: who asks together with somebody whose answer takes long does not wait for that`, async () => {
    await using running = await run(kind);
    const deadline = new Deadline();
    const ended: string[] = [];
    const calls = ["/waits", "/a", "/b.key"].map((path) =>
      repliesOf(running.host, { hook: "authorize", events: [authorize(path)], deadline }).then(() => ended.push(path))
    );
    await Promise.all(calls.slice(1));
    assertEquals(ended, ["/a", "/b.key"]);
    deadline.pass();
    await Promise.all(calls);
  });

  Deno.test(`${kind}: nor does an event wait for another one of its call; only the late one is told to stop`, async () => {
    await using running = await run(kind);
    const deadline = new Deadline();
    const events = ["/a", "/waits", "/b.key", "/throws"].map(authorize);
    const seen: number[] = [];
    const first = Promise.withResolvers<void>();
    const last = Promise.withResolvers<Reply>();
    running.host.call("authorize", events, {
      deadline,
      answered(index, reply) {
        seen.push(index);
        if (seen.length === 3) first.resolve();
        if (seen.length === 4) last.resolve(reply);
      },
    });
    await first.promise;
    assertEquals(seen.toSorted(), [0, 2, 3]);
    deadline.pass();
    assertEquals(await last.promise, { answer: { allow: false, reason: "aborted" } });
    assertEquals(seen[3], 1);
  });

  Deno.test(`${kind}: many calls at once don't mix`, async () => {
    await using running = await run(kind);
    const calls = Array.from({ length: 200 }, async (_, index) => {
      const [reply] = await repliesOf(running.host, {
        hook: "authorize",
        events: [authorize(index % 2 ? "/a" : "/b.key")],
      });
      return (reply as { answer?: { allow: boolean } }).answer?.allow ?? true;
    });
    assertEquals(await Promise.all(calls), calls.map((_, index) => index % 2 === 1));
  });

  Deno.test(`${kind}: logs for itself`, async () => {
    await using running = await run(kind);
    const event = makeEvent("log", { session: SESSION, level: "info", message: "hello", fields: {} });
    await repliesOf(running.host, { hook: "log", events: [event] });
    const said = running.records.filter(({ fields }) => fields.plugin === "subject").map(({ message }) => message);
    assert(said.includes("begun") && said.includes("saw hello"), said.join());
  });
}
