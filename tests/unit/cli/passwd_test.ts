import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { checkPassword } from "../../../lib/base/scram.ts";
import { parseUsersFile } from "../../../lib/hooks/users_file.ts";
import { temporaryFolder } from "../../support/hook_events.ts";
import { FROM_SOURCE, fshFromSource } from "../../support/source_program.ts";

const KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`;

async function usersOf(folder: string) {
  return parseUsersFile(await Deno.readTextFile(`${folder}/users.json`), "users.json");
}

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

Deno.test("fsh passwd: a user is added, changed and removed; the others stay", async () => {
  await using folder = await temporaryFolder();
  const run = (args: string[], input = "") => fshFromSource(["passwd", ...args], { cwd: folder.path, input });

  const added = await run(
    ["users.json", "backup", "--home", "/b", "--access", "read", "--expires", "2999-12-31"],
    "pass wörd\r\n",
  );
  assertEquals(added, { code: 0, out: "", err: "fsh: users.json: backup added\n" });
  assertEquals(((await Deno.stat(`${folder.path}/users.json`)).mode ?? 0) & 0o777, 0o600);
  const { verifier = "", ...rest } = (await usersOf(folder.path)).get("backup") ?? {};
  assertEquals(rest, { home: "/b", access: "read", expires: "2999-12-31" });
  assertEquals([await checkPassword(verifier, "pass wörd"), await checkPassword(verifier, "pass word")], [true, false]);
  assert(!(await Deno.readTextFile(`${folder.path}/users.json`)).includes("pass w"));

  await Deno.writeTextFile(`${folder.path}/id.pub`, `# mine\n${KEY} laptop\n`);
  assertEquals((await run(["users.json", "other", "--key", "id.pub"])).err, "fsh: users.json: other added\n");
  const changed = await run([
    "users.json",
    "backup",
    "--no-password",
    "--home",
    "/",
    "--expires",
    "never",
    "--key",
    "id.pub",
  ]);
  assertEquals(changed.err, "fsh: users.json: backup changed\n");
  assertEquals([...await usersOf(folder.path)], [
    ["backup", { verifier, access: "read", keys: [KEY] }],
    ["other", { keys: [KEY] }],
  ]);

  assertEquals((await run(["users.json", "backup", "--delete"])).code, 0);
  assertEquals([...(await usersOf(folder.path)).keys()], ["other"]);
  assertEquals(names(folder.path), ["id.pub", "users.json"]);
});

Deno.test("fsh passwd: whatever is wrong is said, with its exit status, and nothing is left behind", async () => {
  await using folder = await temporaryFolder();
  const run = (args: string[], input = "") => fshFromSource(["passwd", ...args], { cwd: folder.path, input });
  await Deno.writeTextFile(`${folder.path}/not.pub`, "ssh-rsa AAAA\n");
  const cases: [string[], string, number, string][] = [
    [["users.json", "backup"], "", 2, "it ended before a line came"],
    [["users.json", "backup"], "\n", 2, "an empty one is no password"],
    [["users.json", "backup"], "x".repeat(2000), 2, "more than 1024 bytes"],
    [["users.json", "back up"], "x\n", 2, "without blanks"],
    [["users.json", "backup", "--home", "b/../c"], "x\n", 2, "--home b/../c"],
    [["users.json", "backup", "--access", "all"], "x\n", 2, "one of read, write"],
    [["users.json", "backup", "--expires", "2026-02-31"], "x\n", 2, "it takes a date"],
    [["users.json", "backup", "--key", "none.pub"], "", 5, "none.pub: not found"],
    [["users.json", "backup", "--key", "not.pub"], "", 2, "no public key file"],
    [["users.json", "backup", "--delete"], "", 5, "user backup in users.json: not found"],
    [["users.json", "backup", "--delete", "--home", "/x"], "", 2, "no sense with --delete"],
    [["none/users.json", "backup"], "x\n", 5, "none/users.json: not found"],
    [["users.json"], "", 2, "something is missing"],
  ];
  for (const [args, input, code, text] of cases) {
    const outcome = await run(args, input);
    assertEquals([outcome.code, outcome.out], [code, ""], outcome.err);
    assertStringIncludes(outcome.err, text);
    assertEquals(names(folder.path), ["not.pub"], args.join(" "));
  }
  await Deno.writeTextFile(`${folder.path}/users.json`, "{ broken");
  const broken = await run(["users.json", "backup"], "x\n");
  assertEquals(broken.code, 2);
  assertStringIncludes(broken.err, "users.json: wrong usage (not JSON");
  assertEquals(await Deno.readTextFile(`${folder.path}/users.json`), "{ broken");
});

Deno.test("fsh passwd: many at once lose no user", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/id.pub`, KEY);
  const wanted = Array.from({ length: 8 }, (_, i) => `user${i}`);
  const outcomes = await Promise.all(
    wanted.map((user) => fshFromSource(["passwd", "users.json", user, "--key", "id.pub"], { cwd: folder.path })),
  );
  assertEquals(outcomes.map(({ code, err }) => code === 0 ? "" : err), wanted.map(() => ""));
  assertEquals([...(await usersOf(folder.path)).keys()].sort(), wanted);
  assertEquals(names(folder.path), ["id.pub", "users.json"]);
});

/** Types on a terminal of its own, which `script` (util-linux) makes; answers what was seen there. */
async function onTerminal(folder: string, typed: readonly string[]): Promise<{ seen: string; code: number }> {
  const command = [...FROM_SOURCE, "passwd", "users.json", "backup"].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", command, "/dev/null"],
    cwd: folder,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let seen = "";
  const writer = child.stdin.getWriter();
  const waiting = [...typed];
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    seen += chunk;
    if (/(backup|more): $/.test(seen) && waiting.length > 0) {
      await writer.write(new TextEncoder().encode(waiting.shift()));
    }
  }
  await writer.close().catch(() => {});
  return { seen, code: (await child.status).code };
}

const hasScript = Deno.build.os === "linux" &&
  await Deno.stat("/usr/bin/script").then(() => true, () => false);

Deno.test({
  name: "fsh passwd: on a terminal the password is asked for twice, and never seen",
  ignore: !hasScript,
  async fn() {
    await using folder = await temporaryFolder();
    // With corrections: a letter of two bytes is taken back as one, then everything.
    const right = await onTerminal(folder.path, ["wrong\u0015öpen sesamé\u007fe\r", "öpen sesame\r"]);
    assertEquals(right.code, 0, right.seen);
    assertEquals(right.seen.match(/sesam|wrong/g), null);
    const { verifier = "" } = (await usersOf(folder.path)).get("backup") ?? {};
    assert(await checkPassword(verifier, "öpen sesame"));

    const before = await Deno.readTextFile(`${folder.path}/users.json`);
    const different = await onTerminal(folder.path, ["one\r", "two\r"]);
    assertEquals(different.code, 2);
    assertStringIncludes(different.seen, "the two differ");
    assertEquals((await onTerminal(folder.path, ["one\u0003"])).code, 130);
    assertEquals(await Deno.readTextFile(`${folder.path}/users.json`), before);
  },
});
