import { assertEquals } from "@std/assert";
import { localAttributes } from "../../../lib/client/attributes.ts";

Deno.test("of what a server tells, only permission bits and times that a Date holds are taken over", () => {
  assertEquals(localAttributes({ modified: 5, mode: 0o7644 }), { modified: 5, mode: null });
  assertEquals(localAttributes({ modified: 5, mode: 0o7644 }, true), { modified: 5, mode: 0o644 });
  assertEquals(localAttributes({ modified: null, mode: null }, true), { modified: null, mode: null });
  for (const modified of [8.64e15 + 1, -8.64e15 - 1, Number.MAX_SAFE_INTEGER, NaN, Infinity]) {
    assertEquals(localAttributes({ modified, mode: null }).modified, null, `${modified}`);
  }
});
