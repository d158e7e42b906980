import { assert, assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { Client } from "../../lib/client/client.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { DEFAULT_TUNING } from "../../lib/transport/tuning.ts";
import { eventually, FSH, fsh, hasProgram, ServerProcess } from "../support/program.ts";
import { buffers, keepAliveTimer, type SocketLine, sockets } from "../support/socket_statistics.ts";
import { testOfTcp } from "../support/scheme.ts";
import { Strace } from "../support/strace.ts";
import { TestUser } from "../support/tls_programs.ts";

const onLinux = { ignore: Deno.build.os !== "linux" || !hasProgram("ss") };

const OPTIONS = [
  ...["--keepalive", "idle=41,interval=7,count=5"],
  ...["--send-buffer", "300K", "--recv-buffer", "200K"],
  ...["--nodelay", "off"],
  ...["--linger", "4s"],
  ...["--user-timeout", "33s"],
];
/** The same as the calls that they are, with the values that getsockopt(2) and linux/tcp.h have for them. */
const CALLS = [
  "SOL_SOCKET, SO_KEEPALIVE, [1]",
  "SOL_TCP, TCP_KEEPIDLE, [41]",
  "SOL_TCP, TCP_KEEPINTVL, [7]",
  "SOL_TCP, TCP_KEEPCNT, [5]",
  "SOL_SOCKET, SO_SNDBUF, [307200]",
  "SOL_SOCKET, SO_RCVBUF, [204800]",
  "SOL_TCP, TCP_NODELAY, [0]",
  "SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=4}",
  "SOL_TCP, TCP_USER_TIMEOUT, [33000]",
];

/** Whether keepalive's next probe is due within these seconds. */
function assertProbed(end: SocketLine, { least, most }: { least: number; most: number }): void {
  const timer = keepAliveTimer(end);
  assert(timer !== null && timer > least && timer <= most, end.text);
}

/** Whether a connection shows what OPTIONS ask for. The kernel doubles what is asked for (socket(7)). */
function assertTuned(end: SocketLine): void {
  assertEquals(buffers(end), { receive: 409_600, send: 614_400 }, end.text);
  assertProbed(end, { least: 10, most: 41 });
}

/** A client that stays connected, with the sockets of both ends as ss(8) shows them. */
async function connected(server: ServerProcess, options: { args?: readonly string[]; command?: readonly string[] }) {
  const [program = FSH, ...before] = options.command ?? [FSH];
  const opened = () => server.log.split("session opened").length;
  const sessions = opened();
  const child = new Deno.Command(program, {
    args: [...before, "ping", "-i", "100s", ...options.args ?? [], server.url],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const find = async () => {
      const found = await sockets(`( sport = :${server.port} or dport = :${server.port} )`);
      const ours = (end: "local" | "remote") =>
        found.find((one) => one.state === "ESTAB" && one[end].endsWith(`:${server.port}`));
      const [served, client] = [ours("local"), ours("remote")];
      // Once all is acknowledged, the only timer is keepalive's.
      const isQuiet = (text = "") => !/timer:\((?!keepalive)|unacked:/.test(text);
      return served && client && isQuiet(served.text) && isQuiet(client.text) ? { served, client } : null;
    };
    // By then both have set what there is to set.
    await eventually("the session", 20_000, () => opened() > sessions);
    return await eventually("both ends", 10_000, find);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

testOfTcp("options", {
  name: "ss and strace confirm each tuning option on both ends",
  ignore: onLinux.ignore || !Strace.available(),
  async fn() {
    await using ofServer = await Strace.of("setsockopt,listen");
    await using ofClient = await Strace.of("setsockopt");
    const args = [...OPTIONS, "--backlog", "19"];
    await using server = await ServerProcess.start({ command: [...ofServer.command, FSH], args });

    const [listening] = await sockets(`sport = :${server.port}`, { listening: true });
    assert(listening);
    assertEquals(listening.sendQueue, 19);
    // Doubled by the kernel (socket(7)), and handed down to what it accepts.
    assertEquals(buffers(listening), { receive: 409_600, send: 614_400 });

    const { served, client } = await connected(server, { args: OPTIONS, command: [...ofClient.command, FSH] });
    for (const end of [served, client]) assertTuned(end);
    // A window of 400 KB takes 2^3 × 64 KiB; what the server had set before it listened shows in its scale.
    assertMatch(served.text, /wscale:\d+,[123]\b/);

    for (const call of CALLS) {
      for (const { seen } of [ofServer, ofClient]) assertStringIncludes(seen, call);
    }
    assertMatch(ofServer.seen, /listen\(\d+, 19\) += 0/);
  },
});

Deno.test("over TLS the same options hold", onLinux, async () => {
  await using user = await TestUser.make();
  await using server = await user.serve(["--tls", ...OPTIONS, "--backlog", "21"]);
  const [listening] = await sockets(`sport = :${server.port}`, { listening: true });
  assertEquals(listening?.sendQueue, 21);
  assertEquals((await user.fsh(["ls", "--accept-new", server.url])).code, 0);
  await server.logged(/session ended/);
  const command = ["env", ...Object.entries(user.env).map(([name, value]) => `${name}=${value}`), FSH];
  const { served, client } = await connected(server, { args: OPTIONS, command });
  for (const end of [served, client]) assertTuned(end);
});

testOfTcp("options", {
  name: "keepalive is on with 60 s by default, can have the system's times, and can be off",
  ...onLinux,
  async fn() {
    {
      await using server = await ServerProcess.start();
      const { served, client } = await connected(server, {});
      for (const end of [served, client]) assertProbed(end, { least: 20, most: 60 });
    }
    await using server = await ServerProcess.start({ args: ["--keepalive", "system"] });
    const { served, client } = await connected(server, { args: ["--keepalive", "off"] });
    assertProbed(served, { least: 600, most: 7200 });
    assertEquals(keepAliveTimer(client), null, client.text);
  },
});

Deno.test("a value that can't be is a usage error on either side, naming option and value", async () => {
  const runs = [
    { said: "--keepalive idle=0", args: ["ls", "--keepalive", "idle=0", "fsh://127.0.0.1:1/"] },
    { said: "--nodelay yes", args: ["serve", "--nodelay", "yes", "--port", "0"] },
    { said: "--backlog 0", args: ["serve", "--backlog", "0", "--port", "0"] },
  ];
  for (const { said, args } of runs) {
    const { code, out, err } = await fsh(args);
    assertEquals([code, out], [2, ""], err);
    assertStringIncludes(err, `${said}: wrong usage (it takes `);
  }
});

testOfTcp("options", {
  name: "what the system cuts down is said, by option and limit",
  ...onLinux,
  async fn() {
    const args = ["--send-buffer", "1000M", "--recv-buffer", "900M"];
    await using server = await ServerProcess.start({ args: [...args, "--backlog", "2000000000"] });
    await server.logged(/--backlog 2000000000: the system grants \d+; its limit is net\.core\.somaxconn/);
    const { code, err } = await fsh(["ls", ...args, server.url]);
    assertEquals(code, 0, err);
    for (const said of [err, server.log]) {
      assertMatch(said, /--send-buffer 1000M: the system grants [\d.]+ [KM]iB; its limit is net\.core\.wmem_max/);
      assertMatch(said, /--recv-buffer 900M: the system grants [\d.]+ [KM]iB; its limit is net\.core\.rmem_max/);
    }
  },
});

testOfTcp("options", {
  name: "without the native part it works, and says which options can't be had; but only those asked for",
  async fn() {
    const env = { FSH_NATIVE: "off" };
    await using server = await ServerProcess.start({ env, args: [...OPTIONS, "--backlog", "19"] });
    const { code, err } = await fsh(["ls", ...OPTIONS, server.url], { env });
    assertEquals(code, 0, err);
    await server.logged(/--backlog can't be had here/);
    for (const said of [err, server.log]) {
      for (const name of ["send-buffer", "recv-buffer", "linger", "user-timeout"]) {
        assertStringIncludes(said, `--${name} can't be had here`);
      }
      assertStringIncludes(said, "--keepalive is on, but its times can't be set here");
      assert(!said.includes("--nodelay"), said);
    }
    await using user = await TestUser.make();
    const args = ["--tls", "--keepalive", "system", "--nodelay", "on"];
    await using tls = await ServerProcess.start({ env: { ...user.env, ...env }, args });
    await tls.logged(/--keepalive can't be had here[^]*--nodelay can't be had here/);
    const corked = await fsh(["ls", "--nodelay", "cork", "--keepalive", "system", server.url], { env });
    assertEquals([corked.code, corked.err], [0, "fsh: --nodelay cork can't be had here: it is on\n"]);
    const plain = await fsh(["ls", "--keepalive", "off", "--nodelay", "off", server.url], { env });
    assertEquals([plain.code, plain.err], [0, ""]);
  },
});

Deno.test("over QUIC the options do nothing, and it is said", async () => {
  const args = ["--retries", "0", "--connect-timeout", "100ms", "--user-timeout", "5s", "--linger", "0"];
  const { code, err } = await fsh(["get", ...args, "fshq://127.0.0.1:1/a", "-"]);
  assertEquals(code, 3, err);
  for (const name of ["user-timeout", "linger"]) {
    assertEquals(err.split(`fsh: --${name} is an option of TCP, and does nothing over QUIC\n`).length, 2, err);
  }
});

testOfTcp("options", {
  name: "a small file is one segment; corked, so are the header and the first data of a larger one",
  ...onLinux,
  async fn() {
    const segments = async (noDelay: "on" | "cork", bytes: number) => {
      await using server = await ServerProcess.start({ args: ["--nodelay", noDelay] });
      await Deno.writeFile(`${server.folder}/file`, new Uint8Array(bytes));
      const transport = new TcpTransport({ ...DEFAULT_TUNING, noDelay });
      await using client = await Client.connect({ hostname: "127.0.0.1", port: server.port }, { transport });
      const received = () => client.session.inspect()?.info.dataSegmentsReceived ?? NaN;
      const before = received();
      for (let i = 0; i < 20; i++) await client.get("/file", { open: () => () => {} });
      return (received() - before) / 20;
    };
    // A busy machine may part a turn now and then.
    assertLessOrEqual(await segments("on", 1000), 1.8);
    assertLessOrEqual(await segments("cork", 1000), 1.8);
    const [on, cork] = [await segments("on", 100_000), await segments("cork", 100_000)];
    assert(on >= 3 && on <= 4.8, `${on}`);
    assert(cork >= 2 && cork <= 2.8, `${cork}`);
  },
});
