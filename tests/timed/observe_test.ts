import { assert, assertGreaterOrEqual, assertMatch } from "@std/assert";
import { toText } from "@std/streams";
import { hasProgram, ServerProcess, spawnFsh } from "../support/program.ts";

Deno.test({
  name: "ss shows TCP keepalive on both ends, with fsh's own timers",
  ignore: Deno.build.os !== "linux" || !hasProgram("ss"),
  async fn() {
    await using server = await ServerProcess.start();
    const client = spawnFsh(["ping", "-i", "60s", server.url]);
    try {
      await server.logged(/session opened/);
      // An acknowledgement under way has a timer of its own for some milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const { stdout } = await new Deno.Command("ss", {
        args: ["-tnoH", "state", "established", `( sport = :${server.port} or dport = :${server.port} )`],
      }).output();
      const lines = new TextDecoder().decode(stdout).trim().split("\n");
      assert(lines.length === 2, `both ends: ${lines.join("\n")}`);
      // 60 s idle by default, counting down; the system's own would be two hours.
      for (const line of lines) assertMatch(line, /timer:\(keepalive,(1min|[1-5]?[0-9](\.[0-9]+)?sec),/);
    } finally {
      client.kill("SIGINT");
      await Promise.all([client.status, toText(client.stdout), toText(client.stderr)]);
    }
  },
});

Deno.test("the frame log shows PING and PONG in the middle of a 1 GiB get", async () => {
  await using server = await ServerProcess.start();
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array());
  await Deno.truncate(`${server.folder}/file`, 1024 ** 3);
  const client = spawnFsh(["get", "-q", `${server.url}file`, "/dev/null"], { env: { FSH_LOG: "trace" } });
  const [log] = await Promise.all([toText(client.stderr), toText(client.stdout), client.status]);
  const frames = [...log.matchAll(/ trace (sent|received) .*?frame=([A-Z]+)/g)].map((match) =>
    `${match[1]} ${match[2]}`
  );
  const first = frames.indexOf("received DATA");
  const last = frames.lastIndexOf("received DATA");
  const amid = frames.slice(first, last);
  assertGreaterOrEqual(amid.filter((frame) => frame === "received DATA").length, 1000);
  const ping = amid.indexOf("sent PING");
  assert(ping > 0, "no PING among the DATA");
  assert(amid.indexOf("received PONG", ping) > ping, "no PONG after it");
});
