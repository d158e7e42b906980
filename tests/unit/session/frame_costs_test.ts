import { assert, assertEquals } from "@std/assert";
import { type Company, frameCost } from "../../../lib/session/frame_costs.ts";
import type { FrameName } from "../../../lib/wire/frames.ts";

function cost(
  name: FrameName,
  options: { bytes?: number; packed?: number; company?: Company; unanswered?: number; refused?: boolean } = {},
): number {
  const { bytes = 0, packed, company = "few", unanswered = 0, refused = false } = options;
  const frame = { name, fin: false, stream: 1, crc: 0, payload: new Uint8Array(bytes) };
  return frameCost(packed === undefined ? frame : { ...frame, packed }, {
    unanswered,
    refused,
    company: () => company,
  });
}

Deno.test("large data cost nothing, crumbs and control frames a unit", () => {
  assertEquals(cost("DATA", { bytes: 1024 * 1024 }), 0);
  assertEquals(cost("DATA", { bytes: 4096 }), 0);
  assertEquals(cost("DATA", { bytes: 1 }), 1);
  assertEquals(cost("WINDOW"), 1);
  assertEquals(cost("PING"), 1);
});

Deno.test("requests cost more where they would hold up transfers, and most where they are given up", () => {
  assertEquals(cost("GET"), cost("PING"));
  assert(cost("GET", { company: "many" }) > cost("GET"));
  assert(cost("GET", { company: "large transfers" }) > cost("GET", { company: "many" }));
  assert(cost("CANCEL") > cost("GET", { company: "large transfers" }));
  assertEquals(cost("GET", { refused: true }), cost("GET") + cost("CANCEL"));
});

Deno.test("a frame that becomes a hundred times as much costs what that takes; one that shrank well does not", () => {
  assert(cost("DATA", { bytes: 1024 * 1024, packed: 50 }) >= 1000);
  assertEquals(cost("DATA", { bytes: 1024 * 1024, packed: 100 * 1024 }), 0);
});

Deno.test("the more requests a session leaves unanswered, the dearer is the next", () => {
  for (const company of ["many", "large transfers"] as const) {
    const amid = (unanswered: number) => cost("GET", { unanswered, company });
    assertEquals(amid(16), amid(0));
    assert(amid(64) > 5 * amid(0));
    assertEquals(amid(500), amid(5000));
  }
  // Among a few it is no matter.
  assertEquals(cost("GET", { unanswered: 500 }), cost("GET"));
});
