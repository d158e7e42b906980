import { assert, assertEquals, assertStringIncludes, fail } from "@std/assert";
import { toText } from "@std/streams";
import { TwoHosts } from "../support/namespaces.ts";
import { eventually, FSH, ServerProcess } from "../support/program.ts";
import { sockets } from "../support/socket_statistics.ts";

/** FSH_LONG=1 takes the times that fsh has by default: 60 s of silence, 3 probes, 10 s each. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const KEEPALIVE = LONG
  ? { options: [], seconds: 60 + 3 * 10 }
  : { options: ["--keepalive", "idle=2,interval=1,count=2"], seconds: 2 + 2 * 1 };
/** What the kernel's timers, and a loaded machine, may take in addition. */
const SLACK = 2.5;

const CASES = [
  {
    name: "keepalive finds a peer whose link went down, with the heartbeat off",
    heartbeat: ["--heartbeat", "off"],
    // Silence began when the last byte came, which is before the link goes.
    least: KEEPALIVE.seconds - 1.2,
    most: KEEPALIVE.seconds + SLACK,
    error: "LINK_TIMEOUT",
    message: "the other side's system answers no more (TCP gave up, by --keepalive, --user-timeout or",
  },
  {
    name: "the heartbeat finds it sooner",
    heartbeat: ["--heartbeat", "400ms", "--heartbeat-misses", "3"],
    least: 0.5,
    most: KEEPALIVE.seconds - 0.5,
    error: "PEER_TIMEOUT",
    message: "no sign of life within the heartbeat's limit (nothing heard for",
  },
];

for (const { name, heartbeat, least, most, error, message } of CASES) {
  Deno.test({
    name,
    ignore: !TwoHosts.available(),
    async fn() {
      await using hosts = await TwoHosts.create();
      const args = [...heartbeat, ...KEEPALIVE.options];
      await using server = await ServerProcess.start({
        command: [...hosts.onServer, FSH],
        args: ["--host", hosts.serverAddress, "--insecure", ...args],
      });
      const before = server.descriptors();
      // A session on which nothing moves after one PING.
      const [program = "", ...words] = [...hosts.onClient, FSH, "ping", "-i", "1h"];
      const child = new Deno.Command(program, {
        args: [...words, ...args, server.url],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      try {
        for (let out = ""; !out.includes("PONG from");) out += (await lines.read()).value ?? fail("no PONG");
        await eventually("silence", 10_000, async () => {
          const [end] = await sockets("", { on: hosts.onServer });
          return /lastsnd:\d{3,4} lastrcv:\d{3,4} lastack:\d{3,4} /.test(end?.text ?? "");
        });
        await hosts.link("down");
        const begun = performance.now();
        const elapsed = () => (performance.now() - begun) / 1000;
        const told = server.logged(/session ended.*timed-out.*/, (most + 5) * 1000).then((line) => ({
          line,
          seconds: elapsed(),
        }));
        const [{ code }, err] = await Promise.all([child.status, toText(child.stderr)]);
        const seconds = elapsed();
        assertEquals(code, 3, err);
        assertStringIncludes(err, `${hosts.serverAddress}:${server.port}: ${message}`);
        assert(seconds >= least && seconds <= most, `the client after ${seconds} s`);

        const { line, seconds: serverSeconds } = await told;
        assertStringIncludes(line, error);
        assertStringIncludes(server.log, message);
        assert(serverSeconds >= least && serverSeconds <= most, `the server after ${serverSeconds} s`);
        console.log(`${error}: client ${seconds.toFixed(1)} s, server ${serverSeconds.toFixed(1)} s`);
        await eventually(`${before} descriptors`, 5000, () => server.descriptors() <= before);
      } finally {
        try {
          child.kill("SIGKILL");
        } catch {
          // It has ended.
        }
        await child.status;
        await lines.cancel();
      }
    },
  });
}

Deno.test({
  name: "user timeout ends a transfer whose data nobody acknowledges, long before the kernel would",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    const args = ["--heartbeat", "off", "--stall-timeout", "off"];
    await using server = await ServerProcess.start({
      command: [...hosts.onServer, FSH],
      args: ["--host", hosts.serverAddress, "--insecure", "--user-timeout", "1500ms", ...args],
    });
    await Deno.writeFile(`${server.folder}/large`, new Uint8Array());
    await Deno.truncate(`${server.folder}/large`, 200_000_000_000);
    const [program = "", ...words] = [...hosts.onClient, FSH, "get", "-q", ...args, `${server.url}large`, "-"];
    const child = new Deno.Command(program, { args: words, stdout: "null", stderr: "null" }).spawn();
    try {
      await server.logged(/session opened/);
      await eventually("data", 10_000, async () => {
        const [end] = await sockets("", { on: hosts.onServer });
        return Number(/bytes_acked:(\d+)/.exec(end?.text ?? "")?.[1] ?? 0) > 1_000_000;
      });
      await hosts.link("down");
      const begun = performance.now();
      await server.logged(/session ended.*timed-out.*LINK_TIMEOUT/, 10_000);
      const seconds = (performance.now() - begun) / 1000;
      assert(seconds >= 1 && seconds <= 1.5 + 2 * SLACK, `after ${seconds} s`);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  },
});
