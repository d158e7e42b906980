import { assert, assertEquals } from "@std/assert";
import { Log, type LogRecord } from "../../../lib/base/log.ts";
import { makeEvent } from "../../../lib/hooks/host.ts";
import { InProcessHost } from "../../../lib/hooks/in_process.ts";
import { Observers } from "../../../lib/hooks/observers.ts";
import type { Plugin } from "../../../lib/hooks/plugin.ts";
import { logged } from "../../support/plugins.ts";

async function observers(...plugins: Plugin[]): Promise<{ observers: Observers; records: LogRecord[] }> {
  const records: LogRecord[] = [];
  const log = new Log("debug", (record) => records.push(record));
  const hosts = await Promise.all(plugins.map((plugin) => InProcessHost.start(plugin, { log })));
  return { observers: new Observers(hosts, log), records };
}

const event = (message: string) => makeEvent("log", logged(message));
const ended = (how: "graceful") =>
  makeEvent("disconnect", { session: logged("").session, how, bytes: 1, seconds: 1, error: undefined });

Deno.test("all is told in order, hooks mixed, and the end waits for it", async () => {
  const seen: string[] = [];
  const plugin: Plugin = {
    name: "scribe",
    hooks: {
      async log({ message }) {
        await Promise.resolve();
        seen.push(message);
      },
      disconnect: ({ how }) => void seen.push(how),
    },
  };
  const { observers: all } = await observers(plugin);
  const told = Array.from({ length: 500 }, (_, index) => String(index));
  for (const message of told) all.tell(event(message));
  all.tell(ended("graceful"));
  all.tell(event("last"));
  assertEquals(seen, [], "nobody is called while the event happens");
  await all.drain();
  assertEquals(seen, [...told, "graceful", "last"]);
});

Deno.test("a plugin gets the events of its own hooks only", async () => {
  const seen: string[] = [];
  const { observers: all } = await observers({ name: "a", hooks: { disconnect: ({ hook }) => void seen.push(hook) } });
  all.tell(event("x"));
  all.tell(ended("graceful"));
  await all.drain();
  assertEquals(seen, ["disconnect"]);
});

Deno.test("a slow plugin loses what goes beyond its bound, and slows neither the teller nor another plugin", async () => {
  const gate = Promise.withResolvers<void>();
  let slow = 0;
  let quick = 0;
  const { observers: all, records } = await observers(
    {
      name: "slow",
      hooks: {
        async log() {
          slow++;
          await gate.promise;
        },
      },
    },
    { name: "quick", hooks: { log: () => void quick++ } },
  );
  const begun = performance.now();
  for (let i = 0; i < 10_000; i++) {
    all.tell(event(String(i)));
    if (i % 500 === 499) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert(performance.now() - begun < 3_000);
  assertEquals(quick, 10_000);
  assertEquals(slow, 64);
  const complaints = records.filter(({ fields }) => "dropped" in fields);
  assertEquals(complaints.map(({ level, fields }) => [level, fields.plugin]), [["warn", "slow"]]);
  gate.resolve();
  await all.drain();
  assertEquals(slow, 64 + 4096);
});

Deno.test("failures are logged, and the next events are told", async () => {
  const seen: string[] = [];
  const { observers: all, records } = await observers({
    name: "bad",
    hooks: {
      log({ message }) {
        seen.push(message);
        if (message === "b") throw new Error("broken");
      },
    },
  });
  for (const message of ["a", "b", "c"]) all.tell(event(message));
  await all.drain();
  assertEquals(seen, ["a", "b", "c"]);
  assertEquals(records.map(({ fields }) => fields.reason), ["Error: broken"]);
});

Deno.test("a hook that never ends holds up the next event until its deadline only", async () => {
  const seen: string[] = [];
  const { observers: all, records } = await observers({
    name: "stuck",
    deadlines: { log: 50 },
    hooks: {
      log({ message }) {
        seen.push(message);
        return message === "first" ? new Promise<undefined>(() => {}) as never : undefined;
      },
    },
  });
  all.tell(event("first"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  all.tell(event("second"));
  await all.drain();
  assertEquals(seen, ["first", "second"]);
  assertEquals(records.map(({ fields }) => fields.reason), ["no answer within 50 ms"]);
});
