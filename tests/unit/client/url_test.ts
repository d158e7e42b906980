import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatUrl, parseUrl, parseUrlOrPath } from "../../../lib/client/url.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

Deno.test("the scheme says whether TLS is spoken, and is kept", () => {
  for (const text of ["fsh://host/a", "fshs://host/a", "fshs://user@[::1]:99/", "fshq://host/a", "fsh://host:1/%25"]) {
    assertEquals(formatUrl(parseUrl(text)), text);
  }
  assertEquals(parseUrl("FSHS://host").scheme, "fshs");
  assertEquals(parseUrl("fsh://host").scheme, "fsh");
  assertEquals(parseUrlOrPath("/a", "fshs://host").scheme, "fshs");
  for (const text of ["fshx://host/", "https://host/", "fshss://host/"]) {
    assertStringIncludes(assertThrowsError(() => parseUrl(text), "USAGE").message, text);
  }
});
