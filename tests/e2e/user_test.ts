// `serve --user`, in the compiled executable: started as root, on as somebody else.
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { eventually, FSH, fsh, scratch, ServerProcess } from "../support/program.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";
import { otherUrl, TestUser } from "../support/tls_programs.ts";

/** nobody, and its group, by numbers: their names differ between systems. */
const NOBODY = 65534;
const USER = `${NOBODY}:${NOBODY}`;
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0;

/** A folder of nobody's with a file of root's in it. */
async function servedFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  await Deno.writeTextFile(join(folder, "open"), "for all");
  await Deno.writeTextFile(join(folder, "shadow"), "for root", { mode: 0o600 });
  await Deno.chown(folder, NOBODY, NOBODY);
  return folder;
}

/** A folder that everybody may enter. */
async function openFolder(files: Readonly<Record<string, string>> = {}): Promise<{ path: string } & AsyncDisposable> {
  const folder = await scratch();
  await Deno.chmod(folder.path, 0o755);
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder.path, name), text);
  return folder;
}

/** Lines of a status file of proc(5), by name. */
function statusOf(path: string): Record<string, string> {
  const lines = Deno.readTextFileSync(path).trim().split("\n");
  return Object.fromEntries(lines.map((line) => [line.split(":")[0], line.slice(line.indexOf(":") + 1).trim()]));
}

/** Whether a process is nobody in all its threads, without root's groups and capabilities. */
function assertNobody(pid: number): void {
  const tasks = [...Deno.readDirSync(`/proc/${pid}/task`)];
  assert(tasks.length > 1);
  for (const { name } of tasks) {
    const status = statusOf(`/proc/${pid}/task/${name}/status`);
    const four = Array(4).fill(NOBODY).join("\t");
    assertEquals([status.Uid, status.Gid, status.Groups], [four, four, String(NOBODY)]);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) assertEquals(Number(`0x${status[set]}`), 0, set);
  }
  assertEquals(statusOf(`/proc/${pid}/status`).NoNewPrivs, "1");
}

/** Processes that a process has started. */
function children(pid: number): number[] {
  const isChild = (name: string) => {
    try {
      return statusOf(`/proc/${name}/status`).PPid === String(pid);
    } catch {
      return false;
    }
  };
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => /^\d+$/.test(name) && isChild(name))
    .map(Number);
}

/** A free port that only root may take. */
function lowPort(): number {
  for (let port = 600; port < 1024; port++) {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch {
      // Taken.
    }
  }
  throw new Error("no free port below 1024");
}

/** Starts a server that must not start; answers exit status and complaint. */
async function refusal(
  args: readonly string[],
  options: { command?: readonly string[]; env?: Record<string, string> } = {},
): Promise<{ code: number; err: string }> {
  const [program = FSH, ...before] = options.command ?? [];
  const child = new Deno.Command(program, {
    args: [...before, "serve", "--port", "0", ...args],
    env: { FSH_LOG: "error", ...options.env },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  });
  const { code, stderr } = await child.output();
  return { code, err: new TextDecoder().decode(stderr) };
}

Deno.test(
  { name: "every thread goes on as the user; files are the user's, and root's stay root's", ignore },
  async () => {
    await using local = await scratch();
    const port = lowPort();
    await using server = await ServerProcess.start({
      folder: await servedFolder(),
      args: ["--user", USER, "--port", String(port)],
    });
    assertEquals(server.port, port);
    assertNobody(server.pid);
    assertMatch(Deno.readTextFileSync(`/proc/${server.pid}/limits`), /Max core file size +0 +0/);
    const sent = join(local.path, "sent");
    await Deno.writeTextFile(sent, "content");
    assertEquals((await fsh(["put", sent, server.url])).code, 0);
    assertEquals((await fsh(["mkdir", `${server.url}made`])).code, 0);
    for (const name of ["sent", "made"]) {
      const { uid, gid } = await Deno.stat(join(server.folder, name));
      assertEquals([name, uid, gid], [name, NOBODY, NOBODY]);
    }
    assertEquals((await fsh(["get", `${server.url}open`, "-"])).out, "for all");
    const denied = await fsh(["get", `${server.url}shadow`, "-"]);
    assertEquals([denied.code, denied.out], [4, ""]);
    // After work in all kinds of threads, and so of those that came later, too.
    assertNobody(server.pid);
    assertEquals(await server.stop(), 0);
  },
);

Deno.test({ name: "plugins run as the user, are started and loaded anew as the user", ignore }, async () => {
  const rules = (reason: string) =>
    `export default { name: "rules", hooks: { authorize: ({ command }) =>
      command === "get" ? { allow: false, reason: "${reason}" } : undefined } };`;
  await using place = await openFolder({ "rules.js": rules("first") });
  const [program, file] = [join(place.path, "fsh"), join(place.path, "rules.js")];
  await Deno.copyFile(FSH, program);
  await using server = await ServerProcess.start({
    folder: await servedFolder(),
    args: ["--user", USER, "--plugin", file],
    command: [program],
  });
  const refused = async () => (await fsh(["get", `${server.url}open`, "-"])).err;
  const [sandbox] = children(server.pid);
  assert(sandbox !== undefined);
  assertNobody(sandbox);
  assertStringIncludes(await refused(), "first");

  Deno.kill(sandbox, "SIGKILL");
  await server.logged(/runs again/);
  const again = await eventually("another sandbox", 5000, () => children(server.pid).find((pid) => pid !== sandbox));
  assertNobody(again);

  await Deno.writeTextFile(file, rules("second"));
  server.child.kill("SIGHUP");
  await eventually("the new rules", 10_000, async () => (await refused()).includes("second"));
  await Deno.chmod(file, 0o600);
  server.child.kill("SIGHUP");
  assertMatch(await server.logged(/can't be used; the old one stays.*/), /rules\.js.*Permission denied/);
  assertStringIncludes(await refused(), "second");
});

Deno.test({ name: "a file of accounts must be the user's to read; homes are made as the user", ignore }, async () => {
  await using place = await openFolder();
  const users = join(place.path, "users.json");
  const made = await fsh(["passwd", users, "an", "--home", "/homes/an"], {
    stdin: new TextEncoder().encode("correct horse\n"),
  });
  assertEquals(made.code, 0, made.err);
  await Deno.chmod(users, 0o600);
  const folder = await servedFolder();
  const args = ["--user", USER, "--plugin", "auth-users", "--plugin-option", `auth-users.file=${users}`];
  const { code, err } = await refusal([folder, ...args]);
  assertNotEquals(code, 0);
  assertMatch(err, /users\.json.*(permission denied|not permitted)/i);
  await Deno.chown(users, NOBODY, NOBODY);
  await using server = await ServerProcess.start({ folder, args });
  const listed = await fsh(["ls", server.url.replace("//", "//an@")], {
    env: { FSH_PASSWORD: "correct horse" },
  });
  assertEquals(listed.code, 0, listed.err);
  assertEquals((await Deno.stat(join(folder, "homes/an"))).uid, NOBODY);
});

Deno.test(
  { name: "--tls: root's own key and certificate go on to count, without a word about them", ignore },
  async () => {
    await using owner = await TestUser.make();
    await using server = await ServerProcess.start({
      folder: await servedFolder(),
      args: ["--user", USER, "--tls"],
      env: owner.env,
    });
    // Longer than two looks at the files, which nobody can't see.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assertEquals((await owner.fsh(["get", "--accept-new", `${server.url}open`, "-"])).out, "for all");
    await server.stop();
    assertEquals(server.log.includes(" error "), false, server.log);
  },
);

Deno.test({ name: "whatever is missing is named, and nothing is served", ignore }, async () => {
  const folder = await servedFolder();
  await using closed = await scratch();
  await Deno.mkdir(join(closed.path, "below"));
  await using plugins = await openFolder({ "rules.js": `export default { name: "rules", hooks: {} };` });
  const program = join(closed.path, "fsh");
  await Deno.copyFile(FSH, program);
  const plugin = ["--plugin", join(plugins.path, "rules.js")];
  const cases: readonly [number, RegExp, readonly string[], Parameters<typeof refusal>[1]?][] = [
    [2, /no such user.*: nosuchuser/, [folder, "--user", "nosuchuser"]],
    [2, /no such group.*: nosuchgroup/, [folder, "--user", `${NOBODY}:nosuchgroup`]],
    [2, /number 54321, so its group has to be named/, [folder, "--user", "54321"]],
    [2, /that is root/, [folder, "--user", "root"]],
    [2, /NAME or NAME:GROUP/, [folder, "--user", "nobody:"]],
    [2, /no such user/, [folder, "--user", "4294967295:1"]],
    [4, /Linux with glibc.*FSH_NATIVE/, [folder, "--user", USER], { env: { FSH_NATIVE: "off" } }],
    [4, /can't read it/, [closed.path, "--user", USER]],
    [4, /can't get there/, [join(closed.path, "below"), "--user", USER]],
    [4, /fsh: permission denied \(.* can't start it, which plugins need/, [folder, "--user", USER, ...plugin], {
      command: [program],
    }],
  ];
  for (const [code, message, args, options] of cases) {
    const result = await refusal(args, options);
    assertMatch(result.err, message);
    assertEquals(result.code, code, result.err);
  }
  // Without plugins the program need not be reached again.
  await using server = await ServerProcess.start({ folder, args: ["--user", USER], command: [program] });
  assertEquals((await fsh(["get", `${server.url}open`, "-"])).out, "for all");
});

Deno.test({ name: "where the rights to change are missing, the error names them", ignore }, async () => {
  const folder = await servedFolder();
  const as = (...command: string[]) => ({ command: [...command, FSH] });
  const cases: readonly [RegExp, { command: string[] }][] = [
    [/setresuid: EPERM; CAP_SETUID is missing/, as("setpriv", "--bounding-set", "-setuid")],
    [/setgroups: EPERM; CAP_SETGID is missing/, as("setpriv", "--bounding-set", "-setgid")],
    [/setgroups: EPERM; this user namespace forbids it/, as("unshare", "--user", "--map-root-user")],
  ];
  for (const [message, options] of cases) {
    if (!await works(options.command.slice(0, -1))) continue;
    const { code, err } = await refusal([folder, "--user", USER], options);
    assertMatch(err, message);
    assertEquals(code, 4);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test({ name: "only root changes; the same user may be named", ignore }, async () => {
  const folder = await servedFolder();
  await using place = await openFolder();
  const program = join(place.path, "fsh");
  await Deno.copyFile(FSH, program);
  const command = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", program];
  if (!await works(command.slice(0, -1))) return;
  const { code, err } = await refusal([folder, "--user", "1:1"], { command });
  assertEquals(code, 2);
  assertStringIncludes(err, "only root can go on as somebody else");
  const args = await quicOptions(place.path);
  await using server = await ServerProcess.start({ folder, args: ["--user", USER, ...args], command });
  const url = args.length > 0 ? otherUrl(server, { scheme: SCHEME }) : server.url;
  assertEquals((await fsh(["get", `${url}open`, "-"])).out, "for all");
});

/** Options for QUIC, where the tests use it, with a key that is nobody's own. */
async function quicOptions(folder: string): Promise<string[]> {
  if (!quicEnds) return [];
  const [cert = "", key = ""] = quicEnds.files;
  const own = join(folder, "key.pem");
  await Deno.copyFile(key, own);
  await Deno.chown(own, NOBODY, NOBODY);
  return ["--quic", "--cert", cert, "--key", own];
}

Deno.test(
  { name: "root for other machines, and a folder that can't be written to, are warned of", ignore },
  async () => {
    const warned = async (args: readonly string[]) => {
      const folder = await servedFolder();
      if (args.includes("--user")) await Deno.chown(folder, 0, 0);
      await Deno.chmod(folder, 0o755);
      await using server = await ServerProcess.start({ folder, args });
      await server.stop();
      return server.log.split("\n").filter((line) => line.includes(" warn ")).join("\n");
    };
    assertEquals(await warned([]), "");
    assertStringIncludes(await warned(["--user", USER]), "can't write to the served folder");
    assertEquals(await warned(["--user", USER, "--read-only"]), "");
  },
);

/** Whether a command line can start a program here. */
async function works(command: readonly string[]): Promise<boolean> {
  const [program = "", ...args] = command;
  try {
    return (await new Deno.Command(program, { args: [...args, "true"], stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
