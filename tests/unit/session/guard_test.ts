import { assertEquals } from "@std/assert";
import { Guard } from "../../../lib/session/guard.ts";
import { assertFails } from "../../support/named_errors.ts";

Deno.test("guard hands out checked paths", async () => {
  const guard = new Guard({ readOnly: false });
  assertEquals<string>(await guard.read("/a/b"), "/a/b");
  assertEquals<string>(await guard.write("/a/b"), "/a/b");
});

Deno.test("guard refuses what safePath refuses, for reading and writing", async () => {
  const guard = new Guard({ readOnly: false });
  for (const path of ["/..", "a", "/a//b", "/\0", "/.fsh-part-1"]) {
    await assertFails(() => guard.read(path), "PATH_REJECTED");
    await assertFails(() => guard.write(path), "PATH_REJECTED");
  }
});

Deno.test("a read-only guard lets read and refuses to write, naming the path", async () => {
  const guard = new Guard({ readOnly: true });
  assertEquals<string>(await guard.read("/a"), "/a");
  assertEquals((await assertFails(() => guard.write("/a"), "READ_ONLY")).subject, "/a");
});
