import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TwoHosts } from "../support/namespaces.ts";
import { FSH, fsh, scratch, ServerProcess } from "../support/program.ts";
import { Accounts, NOTHING, shipped } from "../support/shipped.ts";
import { otherUrl, TestUser } from "../support/tls_programs.ts";

Deno.test("serve on an address that others reach refuses without TLS and accounts, and says what to add", async () => {
  await using owner = await TestUser.make();
  const accounts = new Accounts(owner.home);
  await accounts.token("bot");
  const tokens = shipped({ "auth-token": { file: accounts.tokens } });
  const cases: [args: string[], says: RegExp][] = [
    [["--host", "0.0.0.0"], /--host 0\.0\.0\.0.*--tls.*auth-users/],
    [["--host", "::", "--tls"], /--host ::.*auth-users/],
    [["--host", "0.0.0.0", ...tokens], /--host 0\.0\.0\.0.*--tls/],
    [["--host", "::", "--json"], /--host ::/],
  ];
  const outcomes = await Promise.all(cases.map(([args]) => owner.fsh(["serve", owner.home, "--port", "0", ...args])));
  for (const [i, { code, out, err }] of outcomes.entries()) {
    assertEquals([code, out], [2, ""], err);
    assertMatch(err, cases[i]?.[1] ?? /never/);
    assertStringIncludes(err, "--insecure");
  }
  assertEquals(outcomes[2]?.err.includes("auth-users"), false, "what is there is not asked for");
});

Deno.test("--insecure is named in the start line and in the log; loopback needs nothing", async () => {
  await using owner = await TestUser.make();
  for (const host of ["0.0.0.0", "::"]) {
    await using server = await ServerProcess.start({ args: ["--host", host, "--insecure"], env: owner.env });
    await server.logged(/warn --insecure/);
  }
  const json = new Deno.Command(FSH, {
    args: ["serve", owner.home, "--host", "0.0.0.0", "--port", "0", "--insecure", "--json", "--tls"],
    env: { ...owner.env, FSH_LOG: "error" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = json.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  json.kill("SIGTERM");
  await json.status;
  const event: Record<string, unknown> = JSON.parse(new TextDecoder().decode(value));
  assertEquals([event.event, event.insecure], ["listening", true]);
  assertMatch(String(event.fingerprint), /^SHA256:/);
  for (const host of ["localhost", "127.0.0.9", "::1"]) {
    await using server = await ServerProcess.start({ args: ["--host", host] });
    assertEquals((await fsh(["ls", server.url])).code, 0);
  }
});

Deno.test({
  name: "from another host, a token goes over TLS and QUIC, and not without",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    await using owner = await TestUser.make();
    await using guest = await TestUser.make();
    await using folder = await scratch();
    const accounts = new Accounts(folder.path);
    const token = await accounts.token("bot");
    const plugin = shipped({ "auth-token": { file: accounts.tokens } });
    const onServer = [...hosts.onServer, FSH];
    await using secure = await owner.serve(["--host", hosts.serverAddress, "--quic", ...plugin], onServer);
    await using open = await owner.serve(["--host", hosts.serverAddress, "--insecure", ...plugin], onServer);
    const [program = "", ...args] = [...hosts.onClient, FSH];
    const ls = async (...rest: string[]) => {
      const env = { ...NOTHING, ...guest.env, FSH_TOKEN: token, FSH_URL: "", FSH_LOG: "" };
      const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args, "ls", ...rest], env })
        .output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, out, err };
    };
    const done = await ls("--accept-new", secure.url);
    assertEquals([done.code, done.out], [0, "a\n"], done.err);
    for (const scheme of ["fshs", "fshq"]) {
      const again = await ls(otherUrl(secure, { hostname: hosts.serverAddress, scheme }));
      assertEquals([again.code, again.out], [0, "a\n"], again.err);
    }
    const refused = await ls(open.url);
    assertEquals(refused.code, 4, refused.err);
  },
});
