import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { HostileServer } from "../support/hostile_server.ts";
import { FSH, fsh, hasProgram, names, scratch, ServerProcess } from "../support/program.ts";

/** Runs fsh on a terminal of its own; `typed` is what somebody types. Answers what the terminal got. */
async function onTerminal(args: readonly string[], typed = ""): Promise<{ code: number; shown: string }> {
  const command = [FSH, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", command, "/dev/null"],
    env: { FSH_LOG: "", FSH_URL: "", TERM: "xterm" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(typed));
  const [{ code }, shown] = await Promise.all([child.status, toText(child.stdout)]);
  await writer.close().catch(() => {});
  return { code, shown };
}

const ON_A_TERMINAL = { ignore: Deno.build.os !== "linux" || !hasProgram("script") };

Deno.test("on a terminal a get asks before it replaces, and does as it is told", ON_A_TERMINAL, async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  for (const name of ["a", "b", "c"]) await Deno.writeTextFile(`${server.folder}/${name}`, "theirs");
  await Deno.writeFile(`${server.folder}/c`, new Uint8Array(100_000));
  const answers: readonly (readonly [typed: string, replaced: number, code: number])[] = [
    ["n\nn\nn\n", 0, 1],
    ["\n\n\n", 0, 1],
    ["none\n", 0, 1],
    ["y\nno\nYES\n", 2, 7],
    ["all\n", 3, 0],
  ];
  for (const [typed, replaced, code] of answers) {
    for (const name of ["a", "b", "c"]) await Deno.writeTextFile(`${local.path}/${name}`, "mine");
    for (const tree of [false, true]) {
      if (tree && replaced > 0) continue;
      const what = tree ? ["-r", server.url] : ["a", "b", "c"].map((name) => server.url + name);
      const ran = await onTerminal(["get", ...what, local.path], typed);
      assertStringIncludes(ran.shown, "exists already. Replace it?", ran.shown);
      assertEquals(ran.code, tree ? 7 : code, ran.shown);
    }
    const mine = ["a", "b", "c"].filter((name) => Deno.readTextFileSync(`${local.path}/${name}`) === "mine");
    assertEquals(3 - mine.length, replaced, typed);
    assertEquals(names(local.path), ["a", "b", "c"]);
  }
});

Deno.test("nobody is asked with --quiet, --no-replace or without a terminal", ON_A_TERMINAL, async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.writeTextFile(`${server.folder}/a`, "theirs");
  await Deno.writeTextFile(`${local.path}/a`, "mine");
  for (const option of ["--quiet", "--no-replace", "--dry-run"]) {
    const { code, shown } = await onTerminal(["get", option, `${server.url}a`, local.path], "y\n");
    assertEquals([code, shown.includes("Replace it?")], [1, false], shown);
  }
  const piped = await fsh(["get", `${server.url}a`, local.path]);
  assertEquals([piped.code, piped.err.includes("Replace it?")], [1, false], piped.err);
  assertEquals((await fsh(["get", "--force", "-n", `${server.url}a`, local.path])).code, 2);
  assertEquals(Deno.readTextFileSync(`${local.path}/a`), "mine");
});

Deno.test("a terminal shows what a server says, and executes nothing of it", ON_A_TERMINAL, async () => {
  const EVIL = "\u001b]0;pwned\u0007\u001b[31m\u009b2J\u202ex\u2066\u200f\r";
  await using server = await HostileServer.start({
    content: new Uint8Array(100_000),
    entries: [{ name: EVIL }, { name: `${EVIL}s`, type: "symlink" }, { name: "../x" }],
  });
  await using refusing = await HostileServer.start({
    answers: { any: (peer, { stream }) => peer.send("ERROR", stream, { code: 80, subject: EVIL, detail: EVIL }) },
  });
  await using local = await scratch();
  const runs = [
    ["ls", server.url],
    ["ls", "-l", server.url],
    ["ls", "--json", server.url],
    ["get", "-r", `${server.url}tree`, local.path],
    ["get", "-r", "--json", `${server.url}tree`, `${local.path}/json`],
    ["get", "-r", `${server.url}tree`, local.path],
    ["get", "-r", "--dry-run", `${server.url}tree`, `${local.path}/new`],
    ["verify", "-r", local.path, `${server.url}tree`],
    ["stat", `${refusing.url}x`],
    ["get", `${refusing.url}x`, local.path],
  ];
  for (const args of runs) {
    const { shown } = await onTerminal(args, "n\n");
    assertMatch(shown, /\\(x1b|u001b)\]0;pwned/, args.join(" "));
    // Of its own accord fsh only ends lines and returns to their beginning.
    // deno-lint-ignore no-control-regex
    const executed = /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u200f\u202e\u2066]/.exec(shown);
    assert(executed === null, `${args.join(" ")}: ${JSON.stringify(executed?.[0])} in ${JSON.stringify(shown)}`);
  }
});

Deno.test("--resume replaces only what it goes on with", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(2_000_000);
  for (let at = 0; at < large.length; at += content.length) large.set(content.subarray(0, large.length - at), at);
  await Deno.writeFile(`${server.folder}/a`, large);
  const target = `${local.path}/a`;
  await Deno.writeTextFile(target, "mine");
  const resume = () => fsh(["get", "--resume", `${server.url}a`, local.path]);
  const refused = await resume();
  assertEquals(refused.code, 1, refused.err);
  assertMatch(refused.err, /exists already \(--force replaces it\)/);
  assertEquals(names(local.path), ["a"]);
  // What a get with --force leaves when it is interrupted.
  const child = new Deno.Command(FSH, {
    args: ["get", "-q", "--force", "--limit-rate", "500K", `${server.url}a`, local.path],
    env: { FSH_LOG: "", FSH_URL: "" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const part = () => names(local.path).find((name) => name.startsWith(".fsh-part-"));
  for (let i = 0; i < 500; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const name = part();
    if (name !== undefined && Deno.statSync(`${local.path}/${name}`).size > 0) break;
  }
  child.kill("SIGINT");
  await child.status;
  assertEquals(Deno.readTextFileSync(target), "mine");
  const done = await resume();
  assertEquals(done.code, 0, done.err);
  assertMatch(done.err, /going on behind/);
  assertEquals(await Deno.readFile(target), large);
  assertEquals(names(local.path), ["a"]);
});
