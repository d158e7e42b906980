import { assert, assertEquals } from "@std/assert";
import { silentLog } from "../../lib/base/log.ts";
import { MemoryBudget } from "../../lib/base/memory_budget.ts";
import { HookSet } from "../../lib/hooks/hook_set.ts";
import type { HookName } from "../../lib/hooks/hooks.ts";
import { HookRunner } from "../../lib/hooks/runner.ts";
import { assertFails } from "../support/named_errors.ts";
import { eventually } from "../support/program.ts";
import { RunningServer } from "../support/running_server.ts";

/** Plugins that can't even be asked. */
class Unanswering extends HookSet {
  override has(...hooks: HookName[]): boolean {
    return hooks.includes("connect");
  }

  override rule(): Promise<never> {
    return Promise.reject(new Error("out of order"));
  }
}

class UnansweringRunner extends HookRunner {
  readonly #set = new Unanswering([], silentLog);

  override get current(): HookSet {
    return this.#set;
  }
}

Deno.test("a connection about which nobody can be asked is cut off, and its memory given back", async () => {
  const budget = new MemoryBudget({ bytes: 64 * 1024 ** 2 });
  await using running = await RunningServer.start({ budget, hooks: new UnansweringRunner() });
  const connection = await running.connection();
  await assertFails(() => connection.read(new Uint8Array(1)), "CONNECTION_RESET");
  await eventually("its memory to be given back", 1000, () => budget.used === 0);
  assert(running.records.some(({ message }) => message === "a session failed"));
});

Deno.test("a connection that comes in the turn in which the server closes is cut off", async () => {
  const budget = new MemoryBudget({ bytes: 64 * 1024 ** 2 });
  const running = await RunningServer.start({ budget });
  const coming = running.connection();
  const closed = running.server.close({ limit: 0 });
  const connection = await coming;
  await closed;
  assertEquals([running.server.sessionCount, budget.used], [0, 0]);
  await assertFails(() => connection.read(new Uint8Array(1)), "CONNECTION_RESET");
  await running[Symbol.asyncDispose]();
});
