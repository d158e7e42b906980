import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findToken, parseTokensFile } from "../../../lib/hooks/tokens_file.ts";
import { temporaryFolder } from "../../support/hook_events.ts";
import { fshFromSource } from "../../support/source_program.ts";

Deno.test("fsh token: a token is printed once, kept as a hash, listed and removed", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/tokens.json`;
  const run = (...args: string[]) => fshFromSource(["token", ...args], { cwd: folder.path });

  const added = await run("add", "tokens.json", "nightly", "--home", "/builds", "--access", "read", "--expires", "30d");
  assertEquals(added.code, 0, added.err);
  assertMatch(added.out, /^fsh_[A-Za-z0-9_-]{43}\n$/);
  const token = added.out.trim();
  const text = await Deno.readTextFile(file);
  assert(!text.includes(token) && !text.includes(token.slice(4)));
  assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const [name, entry] = findToken(parseTokensFile(text, file), token) ?? [];
  assertEquals([name, entry?.home, entry?.access], ["nightly", "/builds", "read"]);
  const days = (Date.parse(entry?.expires ?? "") - Date.now()) / 86_400_000;
  assert(days > 29.9 && days <= 30, String(days));

  const other = await run("add", "tokens.json", "other");
  assert(other.out !== added.out);
  const again = await run("add", "tokens.json", "nightly");
  assertEquals([again.code, again.out], [1, ""]);
  assertStringIncludes(again.err, "token nightly in tokens.json: exists already");

  const listed = await run("list", "tokens.json");
  assertEquals(listed.out.split("\n").map((line) => line.split(/\s+/)), [
    ["nightly", "read", entry?.expires, "/builds"],
    ["other", "write", "never", "/"],
    [""],
  ]);
  assertEquals((await run("remove", "tokens.json", "nightly")).code, 0);
  assertEquals(findToken(parseTokensFile(await Deno.readTextFile(file), file), token), null);
  assertEquals((await run("remove", "tokens.json", "nightly")).code, 5);
  assertEquals(Array.from(Deno.readDirSync(folder.path), (one) => one.name), ["tokens.json"]);
});

Deno.test("fsh token: wrong use is said, with its exit status", async () => {
  await using folder = await temporaryFolder();
  const cases: [string[], number, string][] = [
    [["make", "tokens.json"], 2, "it takes add, list, remove"],
    [["add", "tokens.json"], 2, "name the token"],
    [["list", "tokens.json"], 5, "tokens.json: not found"],
    [["list", "tokens.json", "x"], 2, "list takes only a file"],
    [["remove", "tokens.json", "x", "--home", "/"], 2, "does not take it"],
    [["add", "tokens.json", "x", "--expires", "soon"], 2, "it takes a date"],
    [["add", "none/tokens.json", "x"], 5, "not found"],
  ];
  for (const [args, code, text] of cases) {
    const outcome = await fshFromSource(["token", ...args], { cwd: folder.path });
    assertEquals([outcome.code, outcome.out], [code, ""], outcome.err);
    assertStringIncludes(outcome.err, text);
  }
  assertEquals(Array.from(Deno.readDirSync(folder.path)), []);
});
