// What the compiled executable keeps of its permissions, and what it leaves to others on the disk.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { toText } from "@std/streams";
import { ALL_RIGHTS } from "../../lib/base/rights.ts";
import { RIGHTS } from "../../lib/cli/rights.ts";
import { native } from "../../lib/native/load.ts";
import { FSH, fsh, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";

/** Lists with what rules it runs by, in a sandbox. */
const RULES = `export default { name: "rules", hooks: { authorize: ({ path }) =>
  path === "/locked" ? { allow: false, reason: "locked" } : undefined } };`;

for (const way of ["", "off"]) {
  Deno.test(`every subcommand works with what its row leaves it: FSH_NATIVE=${way}`, async () => {
    await using local = await scratch();
    const at = (name: string) => join(local.path, name);
    await Deno.writeTextFile(at("a"), "content");
    await Deno.writeTextFile(at("rules.js"), RULES);
    const env = { FSH_LOG: "trace", FSH_NATIVE: way };
    const seen = new Set<string>();
    const run = async (args: readonly string[], input = "") => {
      const { code, out, err } = await fsh(args, { env, cwd: local.path, stdin: new TextEncoder().encode(input) });
      assertEquals(code, 0, `${args.join(" ")}: ${err}`);
      check(args[0] ?? "", err, way);
      seen.add(args[0] ?? "");
      return out;
    };
    await run(["passwd", "users.json", "an"], "correct horse\n");
    const token = (await run(["token", "add", "tokens.json", "one", "--access", "write"])).trim();
    await using server = await ServerProcess.start({
      env,
      args: [
        ...["--plugin", at("rules.js"), "--plugin", "auth-users", "--plugin", "auth-token"],
        ...["--plugin-option", `auth-token.file=${at("tokens.json")}`],
        ...["--plugin-option", `auth-users.file=${at("users.json")}`],
      ],
    });
    const byPassword = server.url.replace("//", "//an@");
    assertEquals((await fsh(["ls", byPassword], { env: { ...env, FSH_PASSWORD: "correct horse" } })).code, 0);
    Object.assign(env, { FSH_TOKEN: token, FSH_URL: server.url });
    for (
      const [args, out] of [
        [["put", "a", "/a"], ""],
        [["get", "/a", "copy"], ""],
        [["verify", "a", "/a"], ""],
        [["ls", "/"], "a\n"],
        [["stat", "/a"], "file"],
        [["hash", "/a"], "ed7002b4"],
        [["mkdir", "/folder"], ""],
        [["mv", "/a", "/folder/a"], ""],
        [["rm", "/folder/a"], ""],
        [["ping", "-c", "1", "--trace", "pings", server.url], "from"],
        [["trace", "pings"], "ping"],
        [["dissector"], "proto("],
        [["doctor"], "loopback"],
        [["plugin", "check", "rules.js"], "rules"],
        [["explain", "--plugin", "rules.js", "get", "/locked2"], "allowed"],
        [["keygen", "key"], ""],
        [["help"], "fsh serve"],
        [["version"], "FSH/1"],
      ] as const
    ) {
      assertStringIncludes((await run(args)).toLowerCase(), out.toLowerCase(), args.join(" "));
    }
    assertEquals(await Deno.readTextFile(at("copy")), "content");
    assertEquals((await fsh(["get", "/locked", "-"], { env })).code, 4);
    check("serve", server.log, way);
    seen.add("serve");
    // Whether there is a network, and a server on it, is not ours to say.
    const { code, err } = await fsh(["discover", "--time", "100ms"], { env });
    assert([0, 3, 5].includes(code) && !err.includes("INTERNAL"), err);
    check("discover", err, way);
    seen.add("discover");
    Object.assign(env, { XDG_CONFIG_HOME: at("config"), FSH_TOKEN: "" });
    await using encrypted = await ServerProcess.start({ env, args: ["--tls"] });
    // Whom a command meets for the first time, it remembers.
    await run(["ls", "--accept-new", encrypted.url]);
    await run(["forget", "127.0.0.1"]);
    const control = ["--control", at("control")];
    await using served = await ServerProcess.start({ env, args: control });
    assertStringIncludes(await run(["sessions", ...control]), "ID");
    assertStringIncludes(await run(["sockets", ...control]), way === "off" ? "PROTO" : "LISTEN");
    const client = spawnFsh(["ping", served.url], { env });
    await served.logged(/session opened/);
    assertStringIncludes(await run(["kick", "1", ...control]), "kicked 1");
    await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
    assertStringIncludes(await run(["reload", ...control]), quicEnds ? "certificate: loaded" : "nothing");
    assertStringIncludes(await run(["drain", "--wait", ...control]), "drained");
    assertEquals([...seen].sort(), Object.keys(RIGHTS).sort());
  });
}

/** Compares what a run says that it has with its row. */
function check(subcommand: string, log: string, way: string): void {
  const row = RIGHTS[subcommand];
  assert(row, subcommand);
  const all = row.confined && way !== "off" && native().descriptors !== null;
  const kept = ALL_RIGHTS.filter((name) => all || row.keeps.includes(name)).join(", ");
  assertStringIncludes(log, `fsh ${subcommand} keeps the permissions ${kept}\n`);
}

Deno.test({
  name: "nothing is loaded out of the folder for temporary files, where anybody may put something",
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using trap = await scratch();
  // A pipe without a writer holds up whoever opens it.
  const made = await new Deno.Command("mkfifo", { args: [join(trap.path, "deno-compile-fsh.cache")] }).output();
  assert(made.success);
  const child = new Deno.Command(FSH, {
    args: ["version"],
    env: { TMPDIR: trap.path },
    stdout: "piped",
    signal: AbortSignal.timeout(20_000),
  });
  const { code, stdout } = await child.output();
  assertEquals(code, 0);
  assertStringIncludes(new TextDecoder().decode(stdout), "FSH/1");
  assertEquals([...Deno.readDirSync(trap.path)].length, 1);
});

Deno.test(
  { name: "new files and folders are as open as the umask lets them be", ignore: Deno.build.os === "windows" },
  async () => {
    await using local = await scratch();
    const tree = join(local.path, "tree");
    await Deno.mkdir(join(tree, "below"), { recursive: true });
    await Deno.writeTextFile(join(tree, "below", "small"), "x");
    await Deno.writeFile(join(tree, "large"), new Uint8Array(3 * 1024 * 1024));
    for (const name of ["below/small", "large"]) await Deno.chmod(join(tree, name), 0o4777);
    for (
      const [umask, file, folder] of [["022", 0o644, 0o755], ["077", 0o600, 0o700], ["002", 0o664, 0o775]] as const
    ) {
      const command = ["sh", "-c", `umask ${umask}; exec "$0" "$@"`, FSH];
      await using server = await ServerProcess.start({ command });
      assertEquals((await fsh(["put", "-r", tree, server.url])).code, 0);
      assertEquals((await fsh(["mkdir", `${server.url}made`])).code, 0);
      const modes = modesIn(server.folder);
      assertEquals(modes, {
        "made": folder,
        "tree": folder,
        "tree/below": folder,
        "tree/below/small": file,
        "tree/large": file,
      });
      const [program = "", ...before] = command;
      const target = join(local.path, `got-${umask}`);
      const got = await new Deno.Command(program, {
        args: [...before, "get", "-r", `${server.url}tree`, target],
        env: { FSH_LOG: "" },
      }).output();
      assertEquals(got.code, 0, new TextDecoder().decode(got.stderr));
      assertEquals(modesIn(target), { "below": folder, "below/small": file, "large": file });
    }
  },
);

Deno.test({
  name: "--preserve keeps permissions, and neither setuid nor setgid nor the sticky bit",
  ignore: Deno.build.os === "windows",
}, async () => {
  await using local = await scratch();
  const tree = join(local.path, "tree");
  await Deno.mkdir(tree);
  await Deno.writeTextFile(join(tree, "small"), "x");
  await Deno.writeFile(join(tree, "large"), new Uint8Array(3 * 1024 * 1024));
  for (const name of ["small", "large"]) await Deno.chmod(join(tree, name), 0o7751);
  await using server = await ServerProcess.start();
  assertEquals((await fsh(["put", "-r", "--preserve", tree, server.url])).code, 0);
  assertEquals(modesIn(join(server.folder, "tree")), { small: 0o751, large: 0o751 });
  for (const name of ["small", "large"]) await Deno.chmod(join(server.folder, "tree", name), 0o7751);
  const target = join(local.path, "got");
  assertEquals((await fsh(["get", "-r", "--preserve", `${server.url}tree`, target])).code, 0);
  assertEquals(modesIn(target), { small: 0o751, large: 0o751 });
});

/** Permission bits of everything below a folder, by path. */
function modesIn(folder: string, prefix = ""): Record<string, number> {
  const modes: Record<string, number> = {};
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    modes[prefix + name] = (Deno.statSync(path).mode ?? 0) & 0o7777;
    if (isDirectory) Object.assign(modes, modesIn(path, `${prefix}${name}/`));
  }
  return modes;
}
