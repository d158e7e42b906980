import { assertEquals } from "@std/assert";
import { silentLog } from "../../../lib/base/log.ts";
import type { User } from "../../../lib/hooks/event.ts";
import { HookSet } from "../../../lib/hooks/hook_set.ts";
import { Evaluator } from "../../../lib/session/evaluator.ts";
import { Guard } from "../../../lib/session/guard.ts";
import { MemoryStorage } from "../../../lib/storage/memory.ts";
import { assertFails } from "../../support/named_errors.ts";

function guardOf(options: { readOnly?: boolean; writes?: boolean; user?: User }): Guard {
  const { readOnly = false, writes = false, user = { name: "" } } = options;
  const evaluator = new Evaluator({
    hooks: new HookSet([], silentLog),
    session: { id: "1", address: "127.0.0.1", port: 1, secure: true },
    user,
    readOnly,
    storage: new MemoryStorage(),
  });
  return new Guard({ evaluator, command: "stat", writes, log: silentLog });
}

Deno.test("guard hands out checked paths, the same under all three names", async () => {
  const guard = guardOf({});
  assertEquals(await guard.admit("/a/b/"), { asked: "/a/b", virtual: "/a/b", real: "/a/b" } as never);
  assertEquals(guard.strict, false);
});

Deno.test("guard refuses what safePath refuses, for reading and writing", async () => {
  for (const writes of [false, true]) {
    for (const path of ["/..", "a", "/a//b", "/\0", "/.fsh-part-1"]) {
      const error = await assertFails(() => guardOf({ writes }).admit(path), "PATH_REJECTED");
      assertEquals(error.subject, path);
    }
  }
});

Deno.test("a read-only guard lets read and refuses to write, naming the path", async () => {
  const guard = guardOf({ readOnly: true });
  assertEquals<string>((await guard.admit("/a")).real, "/a");
  assertEquals((await assertFails(() => guard.admit("/a", { write: true }), "READ_ONLY")).subject, "/a");
});

Deno.test("a home is the user's root, and errors do not name it", async () => {
  const guard = guardOf({ user: { name: "alice", home: "/home/alice" } });
  assertEquals(await guard.admit("/"), { asked: "/", virtual: "/home/alice", real: "/home/alice" } as never);
  assertEquals<string>((await guard.admit("/x")).real, "/home/alice/x");
  const error = await assertFails(() => guard.admit("/../bob"), "PATH_REJECTED");
  assertEquals(guard.told(error).subject, "/../bob");
});
