import { assert, assertEquals } from "@std/assert";
import { type ErrorName, errorName, ERRORS, FshError, isError, toFshError } from "../../../lib/base/errors.ts";

const rows = Object.entries(ERRORS) as [ErrorName, (typeof ERRORS)[ErrorName]][];

Deno.test("codes of errors are unique, fit a u16 and lead back to their names", () => {
  assertEquals(new Set(rows.map(([, row]) => row.code)).size, rows.length);
  for (const [name, row] of rows) {
    assert(row.code > 0 && row.code < 65536);
    assertEquals(errorName(row.code), name);
  }
});

Deno.test("exit statuses are those that the command line promises", () => {
  for (const [name, row] of rows) assert([1, 2, 3, 4, 5, 6, 7, 130].includes(row.exit), name);
});

Deno.test("public messages hold no path and fit a frame", () => {
  for (const [name, row] of rows) {
    assert(row.message.length > 0 && row.message.length < 100, name);
    assert(!/\/(?!1\b)/.test(row.message), name);
  }
});

Deno.test("a code of a later version is INTERNAL rather than nothing", () => {
  assertEquals(errorName(65535), "INTERNAL");
  assertEquals(errorName(0), "INTERNAL");
});

Deno.test("an error reads subject: message (detail) and knows its row", () => {
  const error = new FshError("NOT_FOUND", { subject: "/a", detail: "look again" });
  assertEquals(error.message, "/a: not found (look again)");
  assertEquals([error.code, error.exit, error.retryable, error.remote], [100, 5, false, false]);
  assertEquals(new FshError("NOT_FOUND").message, "not found");
});

Deno.test("about names what an error is about, once", () => {
  const cause = new Error("x");
  const named = new FshError("NO_SPACE", { detail: "d", cause, remote: true }).about("/a");
  assertEquals([named.subject, named.detail, named.cause, named.remote], ["/a", "d", cause, true]);
  assertEquals(named.about("/b").subject, "/a");
});

Deno.test("a stranger's exception becomes INTERNAL and tells nothing but its name", () => {
  const error = toFshError(new TypeError("/etc/shadow"));
  assertEquals(error.error, "INTERNAL");
  assertEquals(error.message, "internal error (TypeError)");
  const own = new FshError("EXISTS");
  assertEquals(toFshError(own), own);
});

Deno.test("isError tells names apart", () => {
  assertEquals(isError(new FshError("EXISTS"), "NOT_FOUND", "EXISTS"), true);
  assertEquals(isError(new FshError("EXISTS"), "NOT_FOUND"), false);
  assertEquals(isError(new Error("EXISTS"), "EXISTS"), false);
});
