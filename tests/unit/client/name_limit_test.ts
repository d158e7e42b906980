import { assertEquals } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { NameLimit } from "../../../lib/client/name_limit.ts";

Deno.test("a limit holds for all pages together, those without names included", () => {
  const limit = new NameLimit(10);
  limit.count(4);
  limit.count(0);
  limit.count(5);
  let failure: unknown;
  try {
    limit.count(0);
  } catch (error) {
    failure = error;
  }
  const said = failure instanceof FshError ? failure.message : failure;
  assertEquals(said, "a listing that does not end (over 10; --max-names allows more)");
});
