import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Log, type LogRecord, silentLog } from "../../../lib/base/log.ts";
import { makeEvent } from "../../../lib/hooks/host.ts";
import { InProcessHost } from "../../../lib/hooks/in_process.ts";
import { repliesOf } from "../../support/replies.ts";
import { ask } from "../../support/sandboxed.ts";
import { asked, hookSet, logged } from "../../support/plugins.ts";

Deno.test("hooks keep their `this`, and get options and a log of their own", async () => {
  const records: LogRecord[] = [];
  const plugin = {
    name: "subject",
    hooks: {
      authorize(this: object, _: unknown, { options, log }: { options: object; log: { info(text: string): void } }) {
        log.info("asked");
        return { allow: Object.hasOwn(this, "authorize"), reason: JSON.stringify(options) };
      },
    },
  };
  const log = new Log("debug", (record) => records.push(record));
  const host = await InProcessHost.start(plugin, { log, options: { a: 1 } });
  assertEquals(await ask(host, "/a"), { answer: { allow: true, reason: '{"a":1}' } });
  assertEquals(records.map(({ fields }) => fields), [{ plugin: "subject", unhooked: true }]);
});

Deno.test("a hook that it does not have gives no opinion; one that throws fails", async () => {
  const host = await InProcessHost.start({
    name: "subject",
    hooks: {
      authorize() {
        throw new RangeError("broken");
      },
    },
  }, { log: silentLog });
  assertEquals(await ask(host, "/a"), { failure: "RangeError: broken" });
  const event = makeEvent("log", logged("x"));
  assertEquals(await repliesOf(host, { hook: "log", events: [event] }), [{ answer: undefined }]);
});

Deno.test("what start throws is its caller's, what stop throws is logged", async () => {
  const records: LogRecord[] = [];
  const log = new Log("debug", (record) => records.push(record));
  const fails = () => {
    throw new Error("broken");
  };
  assertMatch(
    String(await assertRejects(() => InProcessHost.start({ name: "a", hooks: {}, start: fails }, { log }))),
    /broken/,
  );
  const host = await InProcessHost.start({ name: "a", hooks: {}, stop: fails }, { log });
  await host.stop();
  assertMatch(records[0]?.message ?? "", /failed while it was stopped/);
});

Deno.test("whatever is thrown, at once or later, or by an answer that is read, fails that event alone", async () => {
  const getter = () => {
    throw Object.create(null);
  };
  const odd: Record<string, () => unknown> = {
    "/bare": () => Object.create(null),
    "/getter": () => Object.defineProperty(new Error(), "message", { get: getter }),
    "/symbol": () => Object.assign(new Error(), { name: Symbol("odd") }),
    "/proxy": () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
  };
  const answer = Object.defineProperty({}, "allow", { get: getter }) as { allow: boolean };
  for (const isLater of [false, true]) {
    const { set } = await hookSet({
      name: "subject",
      hooks: {
        authorize: ({ path }) => {
          if (path === "/answer") return answer;
          const thrown = odd[path]?.();
          if (thrown === undefined) return { allow: true };
          if (isLater) return Promise.reject(thrown);
          throw thrown;
        },
      },
    });
    const paths = ["/a", ...Object.keys(odd), "/answer", "/b"];
    const all = await Promise.all(paths.map(async (path) => (await set.rule("authorize", [asked(path)]))[0]?.allow));
    assertEquals(all, [true, false, false, false, false, false, true]);
  }
});

Deno.test("each event has a signal of its own: what was answered is not aborted when another is late", async () => {
  const signals = new Map<string, AbortSignal>();
  const { set } = await hookSet({
    name: "subject",
    deadlines: { authorize: 30 },
    hooks: {
      authorize: ({ path }, { signal }) => {
        signals.set(path, signal);
        return path === "/late" ? new Promise(() => {}) : Promise.resolve({ allow: true });
      },
    },
  });
  const all = await Promise.all(["/a", "/late"].map(async (path) => (await set.rule("authorize", [asked(path)]))[0]));
  assertEquals(all.map((ruling) => ruling?.allow), [true, false]);
  assertEquals(["/a", "/late"].map((path) => signals.get(path)?.aborted), [false, true]);
});
