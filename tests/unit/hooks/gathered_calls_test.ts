import { assertEquals } from "@std/assert";
import { GatheredCalls } from "../../../lib/hooks/gathered_calls.ts";
import { type Asker, makeEvent, manifestOf, type PluginHost, type Reply } from "../../../lib/hooks/host.ts";
import { asked, chunkFacts } from "../../support/plugins.ts";

/** Answers with the event's path, or for chunks with their length; never those in `silent`. */
function host(calls: number[], options: { silent?: string; deadline?: number } = {}): PluginHost {
  const { silent, deadline = 5_000 } = options;
  const plugin = { name: "subject", deadlines: { authorize: deadline }, hooks: {} };
  return {
    manifest: manifestOf(plugin, ["authorize", "content"]),
    call(_, events: readonly unknown[], { answered }: Asker) {
      calls.push(events.length);
      for (const [index, event] of (events as { path: string }[]).entries()) {
        if (event.path !== silent) answered(index, { answer: event.path });
      }
    },
    stop: () => Promise.resolve(),
  };
}

function ask(calls: GatheredCalls<"authorize">, path: string): Promise<Reply> {
  return new Promise((resolve) => calls.ask(makeEvent("authorize", asked(path)), resolve));
}

Deno.test("what is asked in one turn goes in one call, what comes later in another", async () => {
  const seen: number[] = [];
  const calls = new GatheredCalls(host(seen), "authorize");
  const late = (async () => {
    for (let step = 0; step < 3; step++) await null;
    return await ask(calls, "/c");
  })();
  const replies = await Promise.all([ask(calls, "/a"), ask(calls, "/b"), late]);
  assertEquals<Reply[]>(replies, ["/a", "/b", "/c"].map((answer) => ({ answer })));
  assertEquals(await ask(calls, "/d"), { answer: "/d" });
  assertEquals(seen, [3, 1]);
});

Deno.test("a call has no more than 256 events, and 128 KiB of chunks or texts", async () => {
  const seen: number[] = [];
  const calls = new GatheredCalls(host(seen), "authorize");
  await Promise.all(Array.from({ length: 600 }, (_, index) => ask(calls, `/${index}`)));
  assertEquals(seen.splice(0), [256, 256, 88]);
  const chunks = new GatheredCalls(host(seen), "content");
  const sizes = [40_000, 60_000, 60_000, 300_000, 0, 1];
  await Promise.all(sizes.map((size) => {
    const event = makeEvent("content", { ...chunkFacts(), chunk: new Uint8Array(size) });
    return new Promise<Reply>((resolve) => chunks.ask(event, resolve));
  }));
  assertEquals(seen.splice(0), [2, 1, 1, 2]);
  await Promise.all(Array.from({ length: 100 }, (_, index) => ask(calls, `/${index}`.padEnd(4_000, "a"))));
  assertEquals(seen, [32, 32, 32, 4]);
});

Deno.test("one that gets no reply fails at its deadline, and the others of its call don't", async () => {
  const seen: number[] = [];
  const calls = new GatheredCalls(host(seen, { silent: "/b", deadline: 50 }), "authorize");
  const replies = await Promise.all(["/a", "/b", "/c"].map((path) => ask(calls, path)));
  assertEquals(replies, [{ answer: "/a" }, { failure: "no answer within 50 ms" }, { answer: "/c" }]);
  assertEquals(seen, [3]);
});

Deno.test("a host that throws, whatever it throws, fails what it has not answered, and the next call is made", async () => {
  const seen: number[] = [];
  const whole = host(seen);
  const calls = new GatheredCalls({
    ...whole,
    call(hook, events, asker) {
      whole.call(hook, events.slice(0, 1), asker);
      if (events.length > 1) throw Object.create(null);
    },
  }, "authorize");
  const replies = await Promise.all([ask(calls, "/a"), ask(calls, "/b")]);
  assertEquals(replies, [{ answer: "/a" }, { failure: "it threw something that can't be described" }]);
  assertEquals(await ask(calls, "/c"), { answer: "/c" });
});
