import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Certificate } from "../../lib/base/certificate.ts";
import type { Identity } from "../../lib/transport/tls.ts";
import { selfSigned, SERVER_AUTH, TestAuthority } from "../support/certificates.ts";
import type { Outcome, ServerProcess } from "../support/program.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";
import { otherUrl, TestUser } from "../support/tls_programs.ts";

const office = await TestAuthority.make();

const BY = quicEnds ? "--quic" : "--tls";
const urlOf = (server: ServerProcess) => quicEnds ? otherUrl(server, { scheme: SCHEME }) : server.url;

/** Options that show a certificate. */
async function show(guest: TestUser, { cert, key }: Identity): Promise<string[]> {
  return ["--client-cert", await guest.write("me.pem", cert), "--client-key", await guest.write("me.key", key)];
}

function assertRefused({ code, out, err }: Outcome, says: string): void {
  assertEquals([code, out], [4, ""], err);
  assertStringIncludes(err, says);
}

Deno.test("--mutual: absent, wrong and right client certificates", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const trust = await owner.write("office.pem", office.pem);
  await using server = await owner.serve([BY, "--mutual", trust]);
  const ls = async (...options: string[]) => await guest.fsh(["ls", "--accept-new", ...options, urlOf(server)]);

  assertRefused(await ls(), "--client-cert");
  const stranger = await TestAuthority.make();
  const wrong: [Identity, string][] = [
    [await stranger.issue({ names: ["anna"] }), "not from an authority that this server trusts"],
    [await selfSigned({ names: ["anna"] }), "not from an authority that this server trusts"],
    [await office.issue({ names: ["anna"], days: [-9, -1] }), "expired on "],
    [await office.issue({ names: ["anna"], purposes: [SERVER_AUTH] }), "not meant for clients"],
  ];
  for (const [identity, says] of wrong) assertRefused(await ls(...await show(guest, identity)), says);

  const anna = await office.issue({ names: ["anna"] });
  const right = await ls(...await show(guest, anna));
  assertEquals([right.code, right.out], [0, "a\n"], right.err);
  await server.logged(/session opened.*user=anna\b/);
  const both = await guest.write("both.pem", anna.key + anna.cert);
  const named = await guest.fsh(["ls", urlOf(server)], { env: { FSH_CLIENT_CERT: both } });
  assertEquals([named.code, named.out], [0, "a\n"], named.err);
});

Deno.test("--mutual beside accounts: both are due, and a changed list of certificates counts after SIGHUP", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const trust = await owner.write("office.pem", office.pem);
  const tokens = await owner.write(
    "rules.ts",
    `export default { name: "rules", hooks: {
      authenticate: ({ method, token, session }) => method === "token" && token === "open"
        ? { user: { name: session.certificate.name + "-2" } } : undefined } };`,
  );
  await using server = await owner.serve([BY, "--mutual", trust, "--plugin", tokens]);
  const certificate = await show(guest, await office.issue({ names: ["anna"] }));
  const ls = (env: Record<string, string>, ...options: string[]) =>
    guest.fsh(["ls", "--accept-new", ...options, urlOf(server)], { env });
  assertRefused(await ls({ FSH_TOKEN: "open" }), "--client-cert");
  assertRefused(await ls({ FSH_TOKEN: "shut" }, ...certificate), "let nobody in");
  const right = await ls({ FSH_TOKEN: "open" }, ...certificate);
  assertEquals([right.code, right.out], [0, "a\n"], right.err);
  await server.logged(/session opened.*user=anna-2/);

  await owner.write("office.pem", (await TestAuthority.make()).pem);
  Deno.kill(server.pid, "SIGHUP");
  let late = right;
  for (let i = 0; i < 50 && late.code === 0; i++) late = await ls({ FSH_TOKEN: "open" }, ...certificate);
  assertRefused(late, "not from an authority");
});

Deno.test("what can't be used is said before the server starts, or the client connects", async () => {
  await using owner = await TestUser.make();
  const trust = await owner.write("office.pem", office.pem);
  const none = await owner.write("none.pem", "nothing");
  const cases: [string[], string][] = [
    [["--mutual", trust], "add --tls"],
    [["--tls", "--mutual", none], "no certificate in PEM"],
    [["--tls", "--mutual", `${none}x`], "none.pemx"],
  ];
  for (const [options, says] of cases) {
    const { code, err } = await owner.fsh(["serve", owner.home, "--port", "0", ...options]);
    assert(code !== 0, err);
    assertStringIncludes(err, says);
  }
  const key = await owner.write("open.key", (await selfSigned({ names: ["anna"] })).key, 0o644);
  const open = await owner.fsh(["ls", "--client-cert", trust, "--client-key", key, "fshs://127.0.0.1:1/"]);
  assertEquals(open.code, 2, open.err);
  assertStringIncludes(open.err, "chmod 600");
});

Deno.test("who relays between two TLS connections is refused, by the server too", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  const trust = await owner.write("office.pem", office.pem);
  await using server = await owner.serve(["--tls", "--mutual", trust]);
  const certificate = await show(guest, await office.issue({ names: ["anna"] }));
  // It ends TLS with a certificate of its own, which this guest has taken, and begins it anew towards the server.
  const relay = await selfSigned({ names: ["127.0.0.1"] });
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...relay, alpnProtocols: ["fsh/1"] });
  const serving = (async () => {
    // The first connection only looks at the certificate.
    using probe = await listener.accept();
    await probe.handshake();
    using from = await listener.accept();
    const pinned = Deno.readTextFileSync(`${owner.home}/fsh/server.pem`).replace(/^[^]*(?=-----BEGIN CERT)/, "");
    using to = await Deno.connectTls({
      hostname: "127.0.0.1",
      port: server.port,
      caCerts: [pinned],
      alpnProtocols: ["fsh/1"],
    });
    await Promise.allSettled([carry(from, to), carry(to, from)]);
  })();
  const { fingerprint } = Certificate.fromPem(relay.cert);
  const { port } = listener.addr;
  const refused = await guest.fsh(
    ["ls", "--fingerprint", fingerprint, ...certificate, `fshs://127.0.0.1:${port}/`],
  );
  listener.close();
  await serving.catch(() => {});
  assertRefused(refused, "somebody may be in between");
});

async function carry(from: Deno.TlsConn, to: Deno.TlsConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let read; (read = await from.read(buffer)) !== null;) {
    for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
  }
  await to.closeWrite();
}
