import { assertEquals } from "@std/assert";
import { Selection } from "../../../lib/client/selection.ts";

Deno.test("a pattern without a slash is compared with names at any depth", () => {
  const selection = new Selection({ exclude: ["*.tmp", ".git"] });
  assertEquals(selection.takes("a.tmp", false), false);
  assertEquals(selection.takes("deep/er/a.tmp", false), false);
  assertEquals(selection.takes("a.tmpx", false), true);
  assertEquals(selection.takes(".git", true), false);
});

Deno.test("what lies below an excluded folder is excluded", () => {
  const selection = new Selection({ exclude: [".git", "build/out"] });
  assertEquals(selection.takes(".git/config", false), false);
  assertEquals(selection.takes("sub/.git/objects/ab", false), false);
  assertEquals(selection.takes("build/out/x", false), false);
  assertEquals(selection.takes("other/build/out/x", false), true);
});

Deno.test("with includes only matching files are taken, folders are walked all the same, and excluding wins", () => {
  const selection = new Selection({ include: ["*.txt", "docs/**"], exclude: ["secret*"] });
  assertEquals(selection.takes("a.txt", false), true);
  assertEquals(selection.takes("deep/a.txt", false), true);
  assertEquals(selection.takes("docs/a/b.png", false), true);
  assertEquals(selection.takes("a.png", false), false);
  assertEquals(selection.takes("deep", true), true);
  assertEquals(selection.takes("secret.txt", false), false);
});
