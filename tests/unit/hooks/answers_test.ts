import { assertEquals, assertStringIncludes, fail } from "@std/assert";
import { readAdmission, readPath, readVerdict } from "../../../lib/hooks/answers.ts";

function complaint(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof TypeError) return error.message;
  }
  return fail("it was taken for an answer");
}

Deno.test("verdicts: what is one, what is no opinion, and what is wrong", () => {
  assertEquals(readVerdict({ allow: true, more: 1 }), { allow: true });
  assertEquals(readVerdict({ allow: false, reason: "no" }), { allow: false, reason: "no" });
  assertEquals([readVerdict(undefined), readVerdict(null)], [undefined, undefined]);
  for (const answer of [0, "", false, [], () => {}]) {
    assertStringIncludes(complaint(() => readVerdict(answer)), "expected");
  }
  for (const allow of [undefined, null, 1, "true"]) {
    assertStringIncludes(complaint(() => readVerdict({ allow })), "allow");
  }
  assertStringIncludes(complaint(() => readVerdict({ allow: true, reason: 5 })), "reason");
});

Deno.test("admissions: users with what is known of them, refusals, and what is wrong", () => {
  const user = {
    name: "ann",
    home: "/ann",
    access: "read" as const,
    expires: 5,
    attributes: { a: 1, b: "c", d: true },
  };
  assertEquals(readAdmission({ user, verifier: "SCRAM-SHA-256$x" }), { user, verifier: "SCRAM-SHA-256$x" });
  assertEquals(readAdmission({ user: { name: "", password: "dropped" } }), { user: { name: "" } });
  assertEquals(readAdmission({ allow: false, reason: "no" }), { allow: false, reason: "no" });
  assertEquals(readAdmission(undefined), undefined);
  const wrong: [unknown, string][] = [
    [5, "expected"],
    [{}, "needs a user"],
    [{ allow: true }, "needs a user"],
    [{ allow: false, reason: {} }, "reason"],
    [{ user: "ann" }, "expected user"],
    [{ user: {} }, "user.name"],
    [{ user: { name: 5 } }, "user.name"],
    [{ user: { name: "a", home: 5 } }, "user.home"],
    [{ user: { name: "a", access: "all" } }, "user.access"],
    [{ user: { name: "a", expires: "soon" } }, "user.expires"],
    [{ user: { name: "a", expires: NaN } }, "user.expires"],
    [{ user: { name: "a", attributes: [] } }, "user.attributes"],
    [{ user: { name: "a", attributes: { b: {} } } }, "user.attributes.b"],
    [{ user: { name: "a" }, verifier: 5 }, "verifier"],
  ];
  for (const [answer, part] of wrong) assertStringIncludes(complaint(() => readAdmission(answer)), part);
});

Deno.test("paths: absolute ones, hidden, no opinion, and what is wrong", () => {
  assertEquals(["/", "/a b", null, undefined].map(readPath), ["/", "/a b", null, undefined]);
  for (const answer of ["", "a", "./a", 5, true, {}, ["/a"]]) {
    assertStringIncludes(complaint(() => readPath(answer)), "path");
  }
});

Deno.test("long texts: a reason is cut, anything else is refused", () => {
  const long = "x".repeat(1_000_000);
  assertEquals(readVerdict({ allow: false, reason: long })?.reason?.length, 4096);
  assertEquals(readAdmission({ user: { name: "x".repeat(4096) } }), { user: { name: "x".repeat(4096) } });
  for (const user of [{ name: long }, { name: "a", home: long }]) {
    assertStringIncludes(complaint(() => readAdmission({ user })), "longer than 4096");
  }
});
