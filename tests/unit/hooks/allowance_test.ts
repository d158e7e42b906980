import { assert, assertEquals } from "@std/assert";
import { Allowance } from "../../../lib/hooks/allowance.ts";

Deno.test("an allowance: a second's worth at once, then a pause as long as it takes to earn what was overdrawn", async () => {
  const allowance = new Allowance(1000);
  assertEquals(allowance.spend(900), 0);
  const pause = allowance.spend(300);
  assert(pause > 150 && pause <= 200, String(pause));
  await new Promise((resolve) => setTimeout(resolve, pause + 20));
  assertEquals(allowance.spend(1), 0);
  assert(allowance.spend(5000) > 4000);
});
