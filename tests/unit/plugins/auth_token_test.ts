import { assertEquals, assertStringIncludes } from "@std/assert";
import { hashToken, newToken } from "../../../lib/hooks/tokens_file.ts";
import { createAuthToken } from "../../../plugins/auth_token.ts";
import { failure, hookEvent, startPlugin, temporaryFolder } from "../../support/hook_events.ts";

function offer(token: string | undefined, method = "token") {
  return hookEvent("authenticate", { method, token, password: token, key: undefined, user: "claimed" });
}

Deno.test("auth-token: a token admits as the user that it is named after, with its scope", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/tokens.json`;
  const [nightly, old] = [newToken(), newToken()];
  const tokens = {
    other: { sha256: hashToken(newToken()) },
    nightly: { sha256: hashToken(nightly), home: "/builds", access: "read", expires: "2999-01-01T00:00:00Z" },
    old: { sha256: hashToken(old), expires: "2020-01-01" },
  };
  await Deno.writeTextFile(file, JSON.stringify({ tokens }));
  await using it = await startPlugin(createAuthToken(), { file });
  assertEquals(await it.call(offer(nightly)), {
    user: { name: "nightly", home: "/builds", access: "read", expires: Date.parse("2999-01-01") },
  });
  assertEquals(await it.call(offer(old)), { allow: false, reason: "this token expired on 2020-01-01" });
  for (const wrong of ["", nightly + "x", nightly.slice(1), hashToken(nightly), "x".repeat(1 << 20), undefined]) {
    assertEquals(await it.call(offer(wrong)), undefined);
  }
  assertEquals(await it.call(offer(nightly, "password")), undefined);

  await Deno.writeTextFile(file, JSON.stringify({ tokens: {} }));
  assertEquals(await it.call(offer(nightly)), undefined);
});

Deno.test("auth-token: a token in plain in the file is refused, and so is a misspelt field", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/tokens.json`;
  for (
    const [entry, text] of [
      [{ sha256: newToken() }, "64 hex digits"],
      [{ sha256: hashToken("x"), acess: "read" }, 'has a field "acess"'],
      [{}, "64 hex digits"],
    ] as const
  ) {
    await Deno.writeTextFile(file, JSON.stringify({ tokens: { one: entry } }));
    assertStringIncludes(await failure(() => startPlugin(createAuthToken(), { file })), text);
  }
});
