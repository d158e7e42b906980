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

Deno.test("a classic server has no port of its own: it is named, and shown", () => {
  const url = parseUrl("classic://host:7374/name");
  assertEquals([url.scheme, url.port, url.path], ["classic", 7374, "/name"]);
  assertEquals(formatUrl(url), "classic://host:7374/name");
  for (const text of ["classic://host", "classic://host/name", "classic://[::1]/"]) {
    assertStringIncludes(assertThrowsError(() => parseUrl(text), "USAGE").message, "the port is missing");
  }
});
