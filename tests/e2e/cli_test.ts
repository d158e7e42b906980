import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fsh, type Outcome, scratch, ServerProcess } from "../support/program.ts";
import { SUBCOMMANDS } from "../../lib/cli/main.ts";
import { VERSION } from "../../lib/base/version.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";

/** A failure names what it is about and has the right status. */
function assertFails(outcome: Outcome, code: number, ...words: string[]): void {
  assertEquals(outcome.code, code, outcome.err);
  for (const word of words) assertStringIncludes(outcome.err, word);
  assertMatch(outcome.err, /^fsh: /m);
}

Deno.test("fsh help names every command, and help of each its options", async () => {
  const overview = await fsh(["help"]);
  assertEquals(overview.code, 0);
  for (const command of SUBCOMMANDS) {
    assertStringIncludes(overview.out, command.name);
    const help = await fsh(["help", command.name]);
    assertEquals(help.code, 0);
    for (const option of command.options) assertStringIncludes(help.out, `--${option.name}`);
  }
  assertEquals((await fsh(["ls", "--help"])).out, (await fsh(["help", "ls"])).out);
});

Deno.test("fsh version says which", async () => {
  const { code, out } = await fsh(["version"]);
  assertEquals(code, 0);
  assertStringIncludes(out, `fsh ${VERSION}`);
});

Deno.test("exit status 2: usage errors name what is wrong", async () => {
  assertFails(await fsh(["nonsense"]), 2, "nonsense", "fsh help");
  assertFails(await fsh(["ls", "--nonsense", "fsh://h/"]), 2, "--nonsense", "fsh help ls");
  assertFails(await fsh(["ls"]), 2, "fsh ls");
  assertFails(await fsh(["ls", "http://host/"]), 2, "http://host/");
  assertFails(await fsh(["ls", "/path"]), 2, "/path", "FSH_URL");
  assertFails(await fsh(["ls", "fsh://host:99999/"]), 2, "99999");
  assertFails(await fsh(["ls", "fsh://user:secret@host/"]), 2, "password");
  assertFails(await fsh(["ping", "--count", "x", "fsh://h/"]), 2, "--count x");
  assertFails(await fsh(["serve", ".", "--heartbeat", "soon"]), 2, "--heartbeat soon");
  assertFails(await fsh(["mv", "fsh://a/x", "fsh://b/x"]), 2, "same server");
  assertEquals((await fsh([])).code, 2);
});

Deno.test("exit status 3: no connection, with the address", async () => {
  assertFails(await fsh(["ls", "fsh://127.0.0.1:1/"]), 3, "127.0.0.1:1", "refused");
  assertFails(await fsh(["ls", "fsh://no-such-host.invalid/"]), 3, "no-such-host.invalid", "unknown host");
});

Deno.test("exit status 3: a server that never answers, and one that speaks something else", async () => {
  const transport = quicEnds?.transport ?? new TcpTransport();
  const silent = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = silent.accept();
  const late = await fsh(["ls", "--handshake-timeout", "300ms", `${SCHEME}://127.0.0.1:${silent.port}/`]);
  assertFails(late, 3, `127.0.0.1:${silent.port}`, "handshake");
  (await taken).close();
  silent.close();

  const ssh = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  const served = ssh.accept().then(async (connection) => {
    await connection.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n"));
    await connection.read(new Uint8Array(100));
    connection.close();
  });
  assertFails(await fsh(["ls", `${SCHEME}://127.0.0.1:${ssh.port}/`]), 3, `127.0.0.1:${ssh.port}`, "SSH");
  await served;
  ssh.close();
  await quicEnds?.settled();
});

Deno.test("exit status 4: what is not permitted", async () => {
  await using server = await ServerProcess.start({ args: ["--read-only"] });
  await using local = await scratch();
  await Deno.writeTextFile(`${server.folder}/there`, "there");
  await Deno.writeTextFile(`${local.path}/file`, "file");
  assertFails(await fsh(["put", `${local.path}/file`, `${server.url}new`]), 4, "/new", "read-only");
  assertFails(await fsh(["rm", `${server.url}there`]), 4, "/there", "read-only");
  assertFails(await fsh(["mkdir", `${server.url}new`]), 4, "/new");
  assertFails(await fsh(["mv", `${server.url}there`, `${server.url}elsewhere`]), 4, "/there");
  assertFails(await fsh(["ls", `${server.url}../`]), 4, "/../");
  await Deno.symlink("/etc", `${server.folder}/out`);
  assertFails(await fsh(["get", `${server.url}out/passwd`, local.path]), 4, "/out/passwd");
  assertEquals((await fsh(["get", `${server.url}there`, "-"])).out, "there");
});

Deno.test("exit status 5: not found, with the path", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  for (const command of ["ls", "stat", "hash", "rm"]) {
    assertFails(await fsh([command, `${server.url}no/such`]), 5, "/no/such", "not found");
  }
  assertFails(await fsh(["get", `${server.url}no`, local.path]), 5, "/no");
  assertFails(await fsh(["put", `${local.path}/missing`, server.url]), 5, `${local.path}/missing`);
  assertFails(await fsh(["mv", `${server.url}no`, `${server.url}there`]), 5, "/no");
  assertFails(await fsh(["serve", `${local.path}/missing`]), 5, `${local.path}/missing`);
});

Deno.test("exit status 7: some of several failed, the others are done", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.writeTextFile(`${server.folder}/a`, "a");
  const got = await fsh(["get", `${server.url}a`, `${server.url}b`, local.path]);
  assertFails(got, 7, "/b", "not found");
  assertEquals(await Deno.readTextFile(`${local.path}/a`), "a");
  const put = await fsh(["put", `${local.path}/a`, `${local.path}/c`, server.url]);
  assertFails(put, 7, `${local.path}/c`);
});

Deno.test("exit status 1: other failures name the path", async () => {
  await using server = await ServerProcess.start();
  await using local = await scratch();
  await Deno.mkdir(`${server.folder}/folder/inner`, { recursive: true });
  await Deno.writeTextFile(`${server.folder}/file`, "");
  assertFails(await fsh(["get", `${server.url}folder`, local.path]), 1, "/folder", "-r");
  assertFails(await fsh(["rm", `${server.url}folder`]), 1, "/folder", "not empty");
  assertFails(await fsh(["mkdir", `${server.url}folder`]), 1, "/folder", "exists");
  assertFails(await fsh(["mv", `${server.url}folder`, `${server.url}folder/inner/x`]), 1, "/folder", "itself");
  assertFails(await fsh(["put", "-n", `${server.folder}/file`, `${server.url}file`]), 1, "/file", "exists");
  assertFails(await fsh(["put", server.folder, server.url]), 1, "-r");
});

Deno.test("serve names a busy port and a folder that is a file", async () => {
  await using server = await ServerProcess.start();
  await Deno.writeTextFile(`${server.folder}/file`, "");
  const busy = await fsh(["serve", server.folder, "--port", String(server.port)]);
  assertFails(busy, 1, `127.0.0.1:${server.port}`, "already in use", "--port");
  assertFails(await fsh(["serve", `${server.folder}/file`]), 1, `${server.folder}/file`, "not a folder");
  assertFails(
    await fsh(["serve", server.folder, "--host", "203.0.113.1", "--insecure", "--port", "0"]),
    1,
    "203.0.113.1",
  );
});

Deno.test({
  name: "serve names a port that it may not have",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    // As root every port is allowed: so as nobody, and with a floor that no system setting moves.
    const outcome = await new Deno.Command("setpriv", {
      args: [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        (await import("../support/program.ts")).FSH,
      ]
        .concat(["serve", "/", "--port", "1"]),
      env: { HOME: "/tmp", FSH_LOG: "" },
    }).output();
    const err = new TextDecoder().decode(outcome.stderr);
    assertEquals(outcome.code, 4, err);
    assertStringIncludes(err, "127.0.0.1:1");
  },
});

Deno.test("serve --json speaks JSON on both outputs", async () => {
  await using server = await ServerProcess.start({ args: ["--json"] });
  await fsh(["ls", server.url]);
  await server.logged(/session ended/);
  for (const line of server.log.trim().split("\n")) assertEquals(JSON.parse(line).event, "log");
});

Deno.test("FSH_URL is the default server; FSH_LOG is checked", async () => {
  await using server = await ServerProcess.start();
  await Deno.writeTextFile(`${server.folder}/file`, "");
  const env = { FSH_URL: server.url };
  assertEquals((await fsh(["ls", "/"], { env })).out, "file\n");
  assertFails(await fsh(["ls", "/"], { env: { ...env, FSH_LOG: "loud" } }), 2, "loud");
  assert((await fsh(["ls", "/"], { env: { ...env, FSH_LOG: "trace" } })).err.includes("LIST"));
});
