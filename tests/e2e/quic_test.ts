import { assert, assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { equalBytes } from "../../lib/base/bytes.ts";
import { randomBytes } from "node:crypto";
import { eventually, fsh, names, type Outcome, ServerProcess } from "../support/program.ts";
import { otherUrl, TestUser } from "../support/tls_programs.ts";
import { UdpRelay } from "../support/udp_relay.ts";

const LONG = Deno.env.get("FSH_LONG") === "1";

const overQuic = (server: ServerProcess, port = server.port) => otherUrl(server, { scheme: "fshq", port });

function assertListed({ code, out, err }: Outcome): void {
  assertEquals([code, out], [0, "a\n"], err);
}

/** How many sessions began. */
const sessions = (server: ServerProcess) => server.log.match(/session opened/g)?.length ?? 0;

Deno.test("serve --quic: both ways, beside TLS; what is remembered of one counts for the other", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve(["--quic"]);
  const url = overQuic(server);
  await eventually("the second URL", 5000, () => server.ready.includes(url) || server.out.includes(url));
  const fingerprint = await server.fingerprint;

  const refused = await guest.fsh(["ls", url]);
  assertEquals([refused.code, refused.out], [4, ""]);
  for (const words of [fingerprint, "--accept-new", "no terminal"]) assertStringIncludes(refused.err, words);
  assertListed(await guest.fsh(["ls", "--accept-new", url]));
  assertEquals(guest.known().length, 1);
  assertListed(await guest.fsh(["ls", server.url]));
  assertListed(await guest.fsh(["ls", url]));

  const content = randomBytes(3_000_000);
  const file = await guest.write("file", "");
  await Deno.writeFile(file, content);
  for (const [from, to] of [[file, `${url}put`], [`${url}put`, `${file}.back`]] as const) {
    const { code, err } = await guest.fsh([from === file ? "put" : "get", from, to]);
    assertEquals(code, 0, err);
  }
  assert(equalBytes(await Deno.readFile(`${file}.back`), content));
  assertEquals(names(server.folder), ["a", "put"]);
  await server.logged(/session opened remote=127\.0\.0\.1:\d+ secure=true/);

  const given = await guest.fsh(["ls", "--fingerprint", `SHA256:${"A".repeat(43)}`, url]);
  assertEquals(given.code, 4, given.err);
  assertStringIncludes(given.err, "NOT THE KNOWN ONE");
});

Deno.test("fshq: another certificate than the known one is refused loudly, with exit status 4", async () => {
  await using owner = await TestUser.make();
  await using other = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve(["--quic"]);
  assertListed(await guest.fsh(["ls", "--accept-new", overQuic(server)]));
  await using impostor = await other.serve(["--quic"]);
  const known = await Deno.readTextFile(guest.knownHosts);
  await Deno.writeTextFile(guest.knownHosts, known.replaceAll(` ${server.port} `, ` ${impostor.port} `));
  for (const url of [overQuic(impostor), impostor.url]) {
    const { code, out, err } = await guest.fsh(["ls", "--accept-new", url]);
    assertEquals([code, out], [4, ""], err);
    assertStringIncludes(err, "NOT THE KNOWN ONE");
    assertStringIncludes(err, await impostor.fingerprint);
  }
});

Deno.test("fshq: a client whose address changes in mid-transfer goes on in the same session", async () => {
  await using owner = await TestUser.make();
  await using server = await owner.serve(["--quic", "--limit-rate", "8M"]);
  const fingerprint = await server.fingerprint;
  const content = randomBytes(12_000_000);
  await Deno.writeFile(`${server.folder}/large`, content);
  const guest = await TestUser.make();
  // Trusts on sight of TLS at the server's own port; the relay has none.
  const seen = await guest.fsh(["ls", "--fingerprint", fingerprint, "--accept-new", overQuic(server)]);
  assertEquals(seen.code, 0, seen.err);
  assertEquals((await guest.fsh(["ls", "--accept-new", overQuic(server)])).code, 0);
  const relay = new UdpRelay(server.port);
  const lines = await Deno.readTextFile(guest.knownHosts);
  await Deno.writeTextFile(guest.knownHosts, lines.replaceAll(` ${server.port} `, ` ${relay.port} `));
  const before = sessions(server);
  const target = `${guest.home}/large`;
  const getting = guest.fsh(["get", "-q", "--retries", "0", `${overQuic(server, relay.port)}large`, target]);
  let moves = 0;
  for (const share of [0.2, 0.4, 0.6]) {
    await eventually("bytes to pass", 60_000, () => relay.passed.client > share * content.length);
    relay.move();
    moves++;
  }
  const { code, err } = await getting;
  relay[Symbol.dispose]();
  await relay.ended();
  assertEquals(code, 0, err);
  assertEquals(moves, 3);
  assert(equalBytes(await Deno.readFile(target), content));
  assertEquals(sessions(server) - before, 1);
  await guest[Symbol.asyncDispose]();
});

Deno.test("fshq: a way that goes dead in mid-transfer is noticed by the heartbeat, and the transfer goes on by another", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve(["--quic", "--limit-rate", "8M"]);
  const content = randomBytes(8_000_000);
  await Deno.writeFile(`${server.folder}/large`, content);
  assertListedOr(await guest.fsh(["ls", "--accept-new", overQuic(server)]), "a\nlarge\n");
  const relay = new UdpRelay(server.port);
  const lines = await Deno.readTextFile(guest.knownHosts);
  await Deno.writeTextFile(guest.knownHosts, lines.replaceAll(` ${server.port} `, ` ${relay.port} `));
  const target = `${guest.home}/large`;
  const beats = ["--heartbeat", "500ms", "--heartbeat-misses", "2"];
  const getting = guest.fsh(["get", ...beats, `${overQuic(server, relay.port)}large`, target]);
  await eventually("bytes to pass", 60_000, () => relay.passed.client > 2_000_000);
  relay.swallows = true;
  await new Promise((resolve) => setTimeout(resolve, 2500));
  relay.swallows = false;
  const { code, err } = await getting;
  relay[Symbol.dispose]();
  await relay.ended();
  assertEquals(code, 0, err);
  assertMatch(err, /no sign of life .*; trying again .*\n.*going on behind .* that agree/);
  assert(equalBytes(await Deno.readFile(target), content));
});

Deno.test("fshq: where nobody answers it is exit status 3 within the deadline, and says what to look at", async () => {
  const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  const { code, err } = await fsh(["ls", "--connect-timeout", "300ms", `fshq://127.0.0.1:${port}/`]);
  silent.close();
  assertEquals(code, 3, err);
  assertMatch(err, new RegExp(`127\\.0\\.0\\.1:${port}: no answer .*within 0\\.3 s.*--quic.*UDP`));
});

Deno.test("serve --quic: a port that UDP has not free is refused by name, and TCP lets go of it", async () => {
  await using owner = await TestUser.make();
  const taken = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const { code, err } = await owner.fsh(["serve", owner.home, "--quic", "--port", String(port)]);
  taken.close();
  assertEquals(code, 1, err);
  assertStringIncludes(err, `127.0.0.1:${port}: address already in use`);
});

Deno.test("serve --quic: limits hold for both together", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve(["--quic", "--max-per-address", "1"]);
  const fingerprint = await server.fingerprint;
  const first = guest.fsh(["ping", "-c", "2", "-i", "3s", "--fingerprint", fingerprint, overQuic(server)]);
  await server.logged(/session opened/);
  for (const url of [overQuic(server), server.url]) {
    // A known certificate: looking at one takes a connection, too.
    const { code, err } = await guest.fsh(["ls", "--accept-new", url]);
    assertEquals(code, 3, err);
    assertStringIncludes(err, "too many sessions from this address");
  }
  assertEquals((await first).code, 0);
});

Deno.test("serve --quic: strangers' datagrams get no more back than they have sent, and hold up nobody", async () => {
  await using owner = await TestUser.make();
  await using guest = await TestUser.make();
  await using server = await owner.serve(["--quic"]);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  let received = 0;
  const receiving = (async () => {
    for await (const [datagram] of socket) received += datagram.length;
  })().catch(() => {});
  let sent = 0;
  for (let i = 0; i < 300; i++) {
    const datagram = randomBytes([1, 20, 40, 100, 1200, 1400][i % 6] ?? 1);
    // Long headers of a version that nobody knows, and of the one that is known (RFC 9000, section 17.2).
    if (i % 3 === 0) datagram[0] = 0xc3;
    if (i % 6 === 0) datagram.set([0, 0, 0, 1].slice(0, Math.max(0, datagram.length - 1)), 1);
    sent += await socket.send(datagram, { transport: "udp", hostname: "127.0.0.1", port: server.port });
  }
  assertListed(await guest.fsh(["ls", "--accept-new", overQuic(server)]));
  assertLessOrEqual(received, sent);
  socket.close();
  await receiving;
  assertEquals(await server.stop(), 0);
});

Deno.test({
  name: "fshq: a server that is killed and comes back is found again, without the user",
  // QUIC takes 25 s to notice that nobody is there any more.
  ignore: !LONG,
  async fn() {
    await using owner = await TestUser.make();
    await using guest = await TestUser.make();
    const server = await owner.serve(["--quic", "--limit-rate", "4M"]);
    const content = randomBytes(40_000_000);
    await Deno.writeFile(`${server.folder}/large`, content);
    assertListedOr(await guest.fsh(["ls", "--accept-new", overQuic(server)]), "a\nlarge\n");
    const target = `${guest.home}/large`;
    const getting = guest.fsh(["get", `${overQuic(server)}large`, target]);
    await eventually("it to have begun", 20_000, () => sessions(server) > 1);
    const { port, folder } = server;
    server.child.kill("SIGKILL");
    await server.child.status;
    await using again = await ServerProcess.start({
      args: ["--quic", "--port", String(port)],
      env: owner.env,
      folder,
    });
    const { code, err } = await getting;
    assertEquals(code, 0, err);
    assert(equalBytes(await Deno.readFile(target), content));
    assertEquals(again.port, port);
    await server.stop();
  },
});

function assertListedOr({ code, out, err }: Outcome, expected: string): void {
  assertEquals([code, out], [0, expected], err);
}
