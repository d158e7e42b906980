import { assertEquals } from "@std/assert";
import { silentLog } from "../../../lib/base/log.ts";
import type { User } from "../../../lib/hooks/event.ts";
import { HookSet } from "../../../lib/hooks/hook_set.ts";
import { InProcessHost } from "../../../lib/hooks/in_process.ts";
import type { Hooks } from "../../../lib/hooks/plugin.ts";
import { Evaluator, type Question } from "../../../lib/session/evaluator.ts";
import { MemoryStorage } from "../../../lib/storage/memory.ts";
import type { SafePath } from "../../../lib/base/virtual_path.ts";

/** A memory in which `/l` is a symbolic link to `/real`. */
class Linked extends MemoryStorage {
  override resolve(path: SafePath): Promise<SafePath> {
    return Promise.resolve(path.replace(/^\/l(?=\/|$)/, "/real") as SafePath);
  }
}

async function evaluator(hooks: Hooks, options: { user?: User; readOnly?: boolean } = {}): Promise<Evaluator> {
  const { user = { name: "alice" }, readOnly = false } = options;
  return new Evaluator({
    hooks: new HookSet([await InProcessHost.start({ name: "rules", hooks }, { log: silentLog })], silentLog),
    session: { id: "1", address: "127.0.0.1", port: 1, secure: true },
    user,
    readOnly,
    storage: new Linked(),
  });
}

const READ: Omit<Question, "path"> = { command: "get", write: false, follow: true };

Deno.test("a decision tells who had a say, in order, and what the path became", async () => {
  const rules = await evaluator({
    filterPath: ({ path }) => path.replace("/old", "/new"),
    authorize: ({ path }) => path === "/home/new" ? { allow: true, reason: "known" } : undefined,
  }, { user: { name: "alice", home: "/home" } });
  const [decision] = await rules.decide([{ ...READ, path: "/old" }]);
  assertEquals(decision?.error, null);
  assertEquals(decision?.place, { asked: "/old", virtual: "/home/new", real: "/home/new" } as never);
  assertEquals(decision?.steps, [
    { rule: "home", path: "/old", became: "/home/old" },
    { rule: "filterPath", path: "/home/old", by: "rules", became: "/home/new" },
    { rule: "authorize", path: "/home/new", by: "rules", reason: "known" },
  ]);
});

Deno.test("a refusal is the last step, whoever it came from", async () => {
  const hooks: Hooks = {
    filterPath: ({ path }) => path === "/hidden" ? null : path,
    authorize: ({ path }) => ({ allow: path !== "/real/x", reason: "keys stay here" }),
  };
  const last = async (path: string, options: Parameters<typeof evaluator>[1] & { write?: boolean } = {}) => {
    const [decision] = await (await evaluator(hooks, options)).decide([{
      ...READ,
      path,
      write: options.write ?? false,
    }]);
    const step = decision?.steps.at(-1);
    return [decision?.error?.error, decision?.error?.subject, step?.rule, step?.by ?? null];
  };
  assertEquals(await last("/a/../b"), ["PATH_REJECTED", "/a/../b", "path", null]);
  assertEquals(await last("/hidden"), ["NOT_FOUND", "/hidden", "filterPath", "rules"]);
  assertEquals(await last("/x", { user: { name: "", expires: 0 } }), ["NOT_PERMITTED", "/x", "expires", null]);
  const reader: User = { name: "", access: "read" };
  assertEquals(await last("/x", { user: reader, write: true }), ["NOT_PERMITTED", "/x", "access", null]);
  assertEquals(await last("/x", { readOnly: true, write: true }), ["READ_ONLY", "/x", "read-only", null]);
  assertEquals(await last("/real/x"), ["NOT_PERMITTED", "/real/x", "authorize", "rules"]);
  // Named is the link, refused is what it leads to.
  assertEquals(await last("/l/x"), ["NOT_PERMITTED", "/l/x", "authorize", "rules"]);
  assertEquals(await last("/l/x", { user: { name: "", home: "/h" } }), [undefined, undefined, "authorize", "rules"]);
});

Deno.test("an event of authorize has the target under its name in the served folder", async () => {
  const seen: unknown[] = [];
  const rules = await evaluator({
    filterPath: ({ path }) => path.replace("/old", "/new"),
    authorize: ({ path, target, size, command, user }) => void seen.push([path, target, size, command, user?.name]),
  });
  await rules.decide([{ command: "move", write: true, follow: false, path: "/a", target: "/old/b", size: 3 }]);
  assertEquals(seen, [["/a", "/new/b", 3, "move", "alice"]]);
});

Deno.test("without plugins and homes nobody is asked and no link is looked for", async () => {
  const rules = await evaluator({});
  assertEquals(rules.strict, false);
  const [decision] = await rules.decide([{ ...READ, path: "/l/x" }]);
  assertEquals([decision?.place.real as string, decision?.steps], ["/l/x", []]);
});
