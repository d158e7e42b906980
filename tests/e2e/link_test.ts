import { assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { TwoHosts } from "../support/namespaces.ts";
import { eventually, FSH, names, scratch, ServerProcess } from "../support/program.ts";

/** (3 + 1) × 300 ms, and what a loaded machine adds. */
const HEARTBEAT = ["--heartbeat", "300ms", "--heartbeat-misses", "3"];
const LIMIT = 1200 + 1500;

Deno.test({
  name: "a link that goes down in mid-get is noticed by both sides, and nothing is left",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    await using server = await ServerProcess.start({
      command: [...hosts.onServer, FSH],
      args: ["--host", hosts.serverAddress, ...HEARTBEAT],
    });
    await using local = await scratch();
    await Deno.writeFile(`${server.folder}/large`, new Uint8Array());
    await Deno.truncate(`${server.folder}/large`, 200_000_000_000);
    const before = server.descriptors();
    const [program = "", ...args] = [...hosts.onClient, FSH, "get", "-q", "--retries", "0", ...HEARTBEAT];
    const client = new Deno.Command(program, {
      args: [...args, `${server.url}large`, `${local.path}/copy`],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    await eventually("the get to begin", 5000, () => names(local.path).length > 0);

    await hosts.link("down");
    const begun = performance.now();
    const [{ code }, err] = await Promise.all([client.status, toText(client.stderr)]);
    assertLessOrEqual(performance.now() - begun, LIMIT);
    assertEquals(code, 3, err);
    assertStringIncludes(err, `${hosts.serverAddress}:${server.port}`);
    assertStringIncludes(err, "no sign of life");
    assertEquals(names(local.path).filter((name) => !name.startsWith(".fsh-part-")), []);

    const line = await server.logged(/session ended.*timed-out.*/, LIMIT);
    assertMatch(line, new RegExp(`PEER_TIMEOUT.*${hosts.clientAddress}`));
    await eventually(`${before} descriptors`, 5000, () => server.descriptors() <= before);
  },
});

Deno.test({
  name: "a host that does not answer is given up after the connect timeout, with its address",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    await hosts.link("down");
    const [program = "", ...args] = [...hosts.onServer, FSH];
    const begun = performance.now();
    const { code, stderr } = await new Deno.Command(program, {
      args: [...args, "ls", "--connect-timeout", "700ms", `fsh://${hosts.clientAddress}/`],
    }).output();
    const err = new TextDecoder().decode(stderr);
    assertEquals(code, 3, err);
    assertMatch(err, /10\.207\.0\.2:7374: (no answer|host or network unreachable)/);
    assertLessOrEqual(performance.now() - begun, 3000);
  },
});
