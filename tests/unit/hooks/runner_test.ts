import { assert, assertEquals } from "@std/assert";
import { silentLog } from "../../../lib/base/log.ts";
import { InProcessHost } from "../../../lib/hooks/in_process.ts";
import { HookRunner } from "../../../lib/hooks/runner.ts";
import { asked } from "../../support/plugins.ts";

async function host(name: string, stopped: string[], allow = true): Promise<InProcessHost> {
  const plugin = { name, hooks: { authorize: () => ({ allow }) }, stop: () => void stopped.push(name) };
  return await InProcessHost.start(plugin, { log: silentLog });
}

Deno.test("a request keeps the rules that it began with; what was replaced stops when its last request ends", async () => {
  const stopped: string[] = [];
  const runner = new HookRunner([await host("old", stopped, true)]);
  const before = runner.current;
  using held = before.acquire();
  runner.swap([await host("new", stopped, false)]);
  assertEquals((await before.rule("authorize", [asked("/a")]))[0]?.allow, true);
  assertEquals((await runner.current.rule("authorize", [asked("/a")]))[0]?.allow, false);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(stopped, []);
  held[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(stopped, ["old"]);
  await runner.stop();
  assertEquals(stopped, ["old", "new"]);
});

Deno.test("a plugin that is in the new set, too, goes on", async () => {
  const stopped: string[] = [];
  const [kept, old] = [await host("kept", stopped), await host("old", stopped)];
  const runner = new HookRunner([kept, old]);
  runner.swap([kept]);
  runner.swap([kept]);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(stopped, ["old"]);
  await runner.stop();
  assertEquals(stopped, ["old", "kept"]);
});

Deno.test("the end waits for all that still runs", async () => {
  const stopped: string[] = [];
  const runner = new HookRunner([await host("a", stopped)]);
  const held = runner.current.acquire();
  let over = false;
  const stopping = runner.stop().then(() => over = true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(!over);
  held[Symbol.dispose]();
  await stopping;
  assertEquals(stopped, ["a"]);
});
