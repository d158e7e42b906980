import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { equalBytes } from "../../lib/base/bytes.ts";
import { Certificate } from "../../lib/base/certificate.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { selfSigned, TestAuthority } from "../support/certificates.ts";
import { eventually, FSH, hasProgram, names, type Outcome, ServerProcess, spawnFsh } from "../support/program.ts";
import { onTerminal } from "../support/terminal.ts";
import { testOfTcp } from "../support/scheme.ts";
import { otherUrl, TestUser } from "../support/tls_programs.ts";

function assertRefused({ code, out, err }: Outcome, exit: number, ...says: (string | RegExp)[]): void {
  assertEquals([code, out], [exit, ""], err);
  for (const words of says) typeof words === "string" ? assertStringIncludes(err, words) : assertMatch(err, words);
}

function assertListed({ code, out, err }: Outcome): void {
  assertEquals([code, out], [0, "a\n"], err);
}

Deno.test("first use without a terminal is refused and says what to do; --accept-new remembers, once", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve();
  const fingerprint = await server.fingerprint;
  assertMatch(server.url, /^fshs:/);
  const refused = await guest.fsh(["ls", server.url]);
  assertRefused(refused, 4, fingerprint, `--fingerprint ${fingerprint}`, "--accept-new", "no terminal");
  assertEquals(guest.known(), []);

  const first = await guest.fsh(["ls", "--accept-new", server.url]);
  assertListed(first);
  assertStringIncludes(first.err, fingerprint);
  assertEquals(guest.known().length, 1);
  assertStringIncludes(guest.known()[0] ?? "", `127.0.0.1 ${server.port} ${fingerprint} `);
  const second = await guest.fsh(["ls", server.url]);
  assertListed(second);
  assertEquals(second.err, "");
  assertListed(await guest.fsh(["ls", "/"], { env: { FSH_URL: server.url } }));
});

Deno.test({
  name: "first use on a terminal asks, and takes yes and no; several connections ask once",
  ignore: Deno.build.os !== "linux" || !hasProgram("script"),
  async fn() {
    await using owner = await TestUser.make();
    await using guest = await TestUser.make();
    await using server = await owner.serve();
    const fingerprint = await server.fingerprint;
    const ask = (typed: string, ...args: string[]) =>
      onTerminal([FSH, ...args], { env: guest.env, after: "(yes/no)", typed });
    const no = await ask("no\n", "ls", server.url);
    assertEquals(no.code, 4, no.shown);
    assertStringIncludes(no.shown, fingerprint);
    assertEquals(guest.known(), []);
    const interrupted = await ask("\x03", "ls", server.url);
    assertEquals(interrupted.code, 130, interrupted.shown);
    const yes = await ask("yes\n", "put", "--jobs", "3", "/etc/hostname", "/etc/passwd", server.url);
    assertEquals(yes.code, 0, yes.shown);
    assertEquals(yes.shown.match(/Trust it/g)?.length, 1, yes.shown);
    assertEquals(guest.known().length, 1);
    assertListed(await guest.fsh(["ls", `${server.url}a`]));
  },
});

Deno.test("a changed key is refused loudly, with both fingerprints, until it is forgotten", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve();
  const old = await server.fingerprint;
  assertListed(await guest.fsh(["ls", "--accept-new", server.url]));
  await server.stop();
  await Deno.remove(`${owner.home}/fsh/server.pem`);
  await using successor = await owner.serve(["--tls", "--port", String(server.port)]);
  const now = await successor.fingerprint;
  assert(old !== now);
  for (const options of [[], ["--accept-new"]]) {
    const refused = await guest.fsh(["ls", ...options, successor.url]);
    assertRefused(refused, 4, "IS NOT THE KNOWN ONE", old, now, `fsh forget 127.0.0.1:${server.port}`);
  }
  assertEquals((await guest.fsh(["forget", `127.0.0.1:${server.port}`])).code, 0);
  assertRefused(await guest.fsh(["forget", "127.0.0.1"]), 5, "127.0.0.1");
  assertListed(await guest.fsh(["ls", "--accept-new", successor.url]));
});

Deno.test("--fingerprint: only that certificate, whatever is remembered; a revoked one never", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve();
  const right = await server.fingerprint;
  const wrong = `SHA256:${"A".repeat(43)}`;
  assertListed(await guest.fsh(["ls", "--fingerprint", right, server.url]));
  assertEquals(guest.known(), [], "a script's own business");
  assertRefused(await guest.fsh(["ls", "--fingerprint", wrong, server.url]), 4, right, wrong);
  assertListed(await guest.fsh(["ls", "--accept-new", server.url]));
  assertRefused(await guest.fsh(["ls", "--fingerprint", wrong, server.url]), 4, right, wrong);
  assertListed(await guest.fsh(["ls", "--fingerprint", right, server.url]));
  assertRefused(await guest.fsh(["ls", "--fingerprint", "SHA256:short", server.url]), 2, "SHA256:short");
  assertRefused(await guest.fsh(["ls", "--fingerprint", right, otherUrl(server, { scheme: "fsh" })]), 2, "fshs://");

  const [line = ""] = guest.known();
  for (const revoked of [`@revoked ${line}`, `@revoked * * ${right}`, `${line}\n@revoked * * ${right}`]) {
    await guest.write("fsh/known_hosts", `# mine\n${revoked}\n`);
    const ways = [[], ["--accept-new"], ["--fingerprint", right]];
    for (const refused of await Promise.all(ways.map((options) => guest.fsh(["ls", ...options, server.url])))) {
      assertRefused(refused, 4, "revoked", right);
    }
  }
  await guest.write("fsh/known_hosts", `# mine\n127.0.0.1 ${server.port} rubbish\n`);
  assertRefused(await guest.fsh(["ls", server.url]), 2, "known_hosts, line 2");
});

Deno.test("a certificate of one's own: wrong name, expired, an authority's; its key must fit and be private", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const serving = async (identity: { cert: string; key: string }) => await owner.serve(await owner.identity(identity));
  {
    await using server = await serving(await selfSigned({ names: ["elsewhere.example"] }));
    const fingerprint = await server.fingerprint;
    assertRefused(
      await guest.fsh(["ls", "--accept-new", server.url]),
      4,
      "elsewhere.example",
      "another name",
      "--fingerprint",
    );
    assertListed(await guest.fsh(["ls", "--fingerprint", fingerprint, server.url]));
  }
  {
    await using server = await serving(await selfSigned({ names: ["127.0.0.1"], days: [-30, -1] }));
    await server.logged(/warn certificate not valid now/);
    assertRefused(await guest.fsh(["ls", "--accept-new", server.url]), 4, "not valid after");
    assertRefused(await guest.fsh(["ls", "--fingerprint", await server.fingerprint, server.url]), 4, "not valid after");
  }
  {
    await using server = await serving(await selfSigned({ names: ["127.0.0.1"] }));
    assertListed(await guest.fsh(["ls", "--accept-new", server.url]));
    assertListed(await guest.fsh(["ls", server.url]));
  }
  const start = (args: string[]) => owner.fsh(["serve", owner.home, "--port", "0", ...args]);
  const authority = await owner.identity(await selfSigned({ names: ["127.0.0.1"], isAuthority: true }));
  assertRefused(await start(authority), 2, "cert.pem", "CA:FALSE");
  const one = await selfSigned({ names: ["127.0.0.1"] });
  const { key } = await selfSigned({ names: ["127.0.0.1"] });
  assertRefused(await start(await owner.identity({ ...one, key })), 2, "key.pem", "not that of the certificate");
  assertRefused(
    await start(await owner.identity({ ...one, key: "rubbish" })),
    2,
    "key.pem",
    "no unencrypted private key",
  );
  assertRefused(await start(await owner.identity({ ...one, cert: "rubbish" })), 2, "cert.pem", "no certificate");
  const files = await owner.identity(one);
  await Deno.chmod(`${owner.home}/key.pem`, 0o640);
  assertRefused(await start(files), 2, "key.pem", "chmod 600");
  assertRefused(await start(["--cert", "cert.pem"]), 2, "--key");
});

Deno.test("certificates that chain to the system's roots are taken as the web does; others of authorities are not", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const authority = await TestAuthority.make();
  const roots = { env: { SSL_CERT_FILE: await guest.write("roots.pem", authority.pem) } };
  const serving = async (options: Parameters<TestAuthority["issue"]>[0]) =>
    await owner.serve(await owner.identity(await authority.issue(options)));
  {
    await using server = await serving({ names: ["127.0.0.1", "localhost"] });
    const accepted = await guest.fsh(["ls", server.url], roots);
    assertListed(accepted);
    assertEquals([accepted.err, guest.known()], ["", []], "nothing asked, nothing remembered");
    for (const options of [[], ["--accept-new"]]) {
      assertRefused(await guest.fsh(["ls", ...options, server.url]), 4, "authority", "SSL_CERT_FILE");
    }
    await guest.write("fsh/known_hosts", `@revoked * * ${await server.fingerprint}\n`);
    assertRefused(await guest.fsh(["ls", server.url], roots), 4, "revoked");
    await Deno.remove(guest.knownHosts);
  }
  {
    await using server = await serving({ names: ["elsewhere.example"] });
    const refused = await guest.fsh(["ls", "--accept-new", server.url], roots);
    assertRefused(refused, 4, "another name", "elsewhere.example");
  }
  await using server = await serving({ names: ["127.0.0.1"], days: [-30, -1] });
  assertRefused(await guest.fsh(["ls", "--accept-new", server.url], roots), 4, "not valid after");

  // Known by a certificate of its own, a server is not replaced by one that an authority knows.
  await using other = await TestUser.make();
  await using pinned = await other.serve();
  assertListed(await guest.fsh(["ls", "--accept-new", pinned.url], roots));
  await pinned.stop();
  const files = await owner.identity(await authority.issue({ names: ["127.0.0.1"] }));
  await using imposter = await owner.serve([...files, "--port", String(pinned.port)]);
  assertRefused(await guest.fsh(["ls", imposter.url], roots), 4, "IS NOT THE KNOWN ONE", await imposter.fingerprint);
});

Deno.test("the key is made once, for its owner only, and one that others can read is refused", async () => {
  await using owner = await TestUser.make();
  const servers = await Promise.all(Array.from({ length: 3 }, () => owner.serve()));
  const fingerprints = await Promise.all(servers.map((server) => server.fingerprint));
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  assertEquals(new Set(fingerprints).size, 1);
  const path = `${owner.home}/fsh/server.pem`;
  // Beside it is the folder of the control sockets.
  assertEquals([...Deno.readDirSync(`${owner.home}/fsh`)].map(({ name }) => name).sort(), ["run", "server.pem"]);
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  assertEquals(
    Certificate.fromPem(/-----BEGIN CERT[^]*/.exec(await Deno.readTextFile(path))?.[0] ?? "").names.slice(0, 3),
    [
      "localhost",
      "127.0.0.1",
      "::1",
    ],
  );
  await Deno.chmod(path, 0o644);
  const refused = await owner.fsh(["serve", owner.home, "--port", "0", "--tls"]);
  assertRefused(refused, 2, "server.pem", "chmod 600");
  const homeless = await owner.fsh(["serve", owner.home, "--port", "0", "--tls"], {
    env: { XDG_CONFIG_HOME: "", HOME: "" },
  });
  assertRefused(homeless, 2, "HOME is not set", "--cert");
});

Deno.test("a changed certificate counts at once, sessions stay, and a broken one changes nothing", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const first = await selfSigned({ names: ["127.0.0.1"] });
  await using server = await owner.serve(await owner.identity(first));
  const old = await server.fingerprint;
  const ls = (fingerprint: string) => guest.fsh(["ls", "--fingerprint", fingerprint, server.url]);
  const session = spawnFsh(["ping", "-i", "200ms", "--fingerprint", old, server.url], { env: guest.env });
  const pinged = Promise.all([session.status, toText(session.stdout), toText(session.stderr)]);
  await server.logged(/session opened/);

  await Deno.writeTextFile(`${owner.home}/cert.pem`, "rubbish");
  server.child.kill("SIGHUP");
  await server.logged(/error certificate not usable; the one before stays .*cert\.pem/);
  assertListed(await ls(old));

  const second = await selfSigned({ names: ["127.0.0.1"] });
  const now = Certificate.fromPem(second.cert).fingerprint;
  await owner.identity(second);
  server.child.kill("SIGHUP");
  await server.logged(new RegExp(`certificate exchanged fingerprint=${now.replace(/[+]/g, "\\+")}`));
  assertListed(await ls(now));
  assertRefused(await ls(old), 4, old, now);

  // By itself, too, within a few seconds.
  await owner.identity(first);
  await server.logged(new RegExp(`certificate exchanged fingerprint=${old.replace(/[+]/g, "\\+")}`));
  assertListed(await ls(old));
  session.kill("SIGINT");
  const [status, out, err] = await pinged;
  assertEquals(status.code, 0, err);
  assertMatch(out, /\b(\d+) sent, \1 received/, "the session that was there knows nothing of all that");
});

testOfTcp("clear", {
  name: "nothing leads from fshs to plain text: a plain answer, a cut, silence, another certificate in between",
  async fn() {
    await using owner = await TestUser.make();
    await using guest = await TestUser.make();
    await using server = await owner.serve();
    assertListed(await guest.fsh(["ls", "--accept-new", server.url]));
    await using plain = await ServerProcess.start();
    await Deno.writeTextFile(`${plain.folder}/a`, "plain");

    const answered = await guest.fsh(["ls", "--accept-new", otherUrl(plain, { scheme: "fshs" })]);
    assertRefused(answered, 3, "not TLS");
    const stray = await guest.fsh(["ls", otherUrl(server, { scheme: "fsh" })]);
    assertRefused(stray, 3, "it seems to speak TLS", "fshs://");
    assertListed(await guest.fsh(["ls", server.url]));
    assertListed(await guest.fsh(["ls", plain.url]));

    for (const how of ["at once", "after the first message", "never"] as const) {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const taken: Deno.Conn[] = [];
      const serving = (async () => {
        for await (const connection of listener) {
          taken.push(connection);
          if (how === "after the first message") await connection.read(new Uint8Array(4096)).catch(() => null);
          if (how !== "never") connection.close();
        }
      })();
      const url = `fshs://127.0.0.1:${listener.addr.port}/`;
      const cut = await guest.fsh(["ls", "--accept-new", "--handshake-timeout", "700ms", url]);
      assertRefused(cut, 3, `127.0.0.1:${listener.addr.port}`, how === "never" ? /handshake/ : /handshake|reset/);
      listener.close();
      await serving.catch(() => {});
      if (how === "never") taken.forEach((connection) => connection.close());
    }
  },
});

Deno.test("somebody in between with a certificate of the same names gets nothing", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const names = ["localhost", "127.0.0.1"];
  await using server = await owner.serve();
  assertListed(await guest.fsh(["ls", "--accept-new", server.url]));
  await server.stop();
  const { cert, key } = await makeSelfSigned({ names });
  const port = server.port;
  using between = Deno.listenTls({ hostname: "127.0.0.1", port, cert, key, alpnProtocols: ["fsh/1"] });
  let said = 0;
  const listening = (async () => {
    for await (const connection of between) {
      said += await connection.read(new Uint8Array(100)).catch(() => 0) ?? 0;
      connection.close();
    }
  })().catch(() => {});
  const secret = { env: { FSH_TOKEN: "fsh_secret" } };
  const refused = await guest.fsh(["ls", server.url], secret);
  assertRefused(refused, 4, "IS NOT THE KNOWN ONE", Certificate.fromPem(cert).fingerprint);
  assertRefused(await guest.fsh(["ls", "--fingerprint", await server.fingerprint, server.url], secret), 4);
  between.close();
  await listening;
  assertEquals(said, 0, "not a byte was said to it");
});

async function assertSame(path: string, bytes: Uint8Array): Promise<void> {
  assert(equalBytes(await Deno.readFile(path), bytes), `${path} is not what was sent`);
}

Deno.test("files, trees and continued transfers go over TLS as they do without", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve();
  const fsh = async (...args: string[]) => {
    const done = await guest.fsh([...args]);
    assertEquals(done.code, 0, done.err);
    return done.out;
  };
  const bytes = new Uint8Array(20_000_000).map((_, i) => (i * 7919) >> 3);
  await Deno.mkdir(`${guest.home}/tree/sub`, { recursive: true });
  await Deno.writeFile(`${guest.home}/tree/sub/large`, bytes);
  await Deno.writeTextFile(`${guest.home}/tree/small`, "small");
  await fsh("put", "-r", "--accept-new", `${guest.home}/tree`, server.url);
  await assertSame(`${server.folder}/tree/sub/large`, bytes);
  assertStringIncludes(await fsh("ls", "-R", server.url), "tree/sub/large");
  await fsh("get", "-r", `${server.url}tree`, `${guest.home}/back`);
  await assertSame(`${guest.home}/back/sub/large`, bytes);
  await fsh("verify", "-r", `${guest.home}/tree`, `${server.url}tree`);

  const slow = guest.fsh([
    "get",
    "--limit-rate",
    "4M",
    "--retries",
    "0",
    `${server.url}tree/sub/large`,
    `${guest.home}/part`,
  ]);
  await eventually("the get to begin", 10_000, () => names(guest.home).some((name) => name.startsWith(".fsh-part-")));
  await new Promise((resolve) => setTimeout(resolve, 500));
  await server.stop("SIGKILL");
  assertEquals((await slow).code, 3);
  await using successor = await ServerProcess.start({
    folder: server.folder,
    env: owner.env,
    args: ["--tls", "--port", String(server.port)],
  });
  const resumed = await guest.fsh(["get", "--resume", `${successor.url}tree/sub/large`, `${guest.home}/part`]);
  assertEquals(resumed.code, 0, resumed.err);
  await assertSame(`${guest.home}/part`, bytes);
});
