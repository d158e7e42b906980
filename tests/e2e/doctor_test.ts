import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { SmallDisk } from "../support/small_disk.ts";
import { eventually, fsh, names, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";

const MIB = 1024 * 1024;
const QUICK = ["--time", "200ms", "--bytes", "16M"];

/** A server with a file of so many bytes. */
async function serving(size: number, args: readonly string[] = []): Promise<ServerProcess> {
  const server = await ServerProcess.start({ args });
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array());
  await Deno.truncate(`${server.folder}/file`, size);
  return server;
}

Deno.test("fsh doctor looks at this machine: kernel, limits, CPU, disk, loopback; nothing stays", async () => {
  await using local = await scratch();
  const { code, out, err } = await fsh(["doctor", "--json"], { cwd: local.path });
  assertEquals(code, 0, err);
  const { checks } = JSON.parse(out) as { checks: { name: string; value: string | number | null }[] };
  const value = (name: string) => checks.find((check) => check.name === name)?.value;
  assertGreaterOrEqual(Number(value("disk")), 1);
  assertGreaterOrEqual(Number(value("loopback")), MIB);
  if (Deno.build.os === "linux") {
    assertEquals(value("rmem_max"), Number(await Deno.readTextFile("/proc/sys/net/core/rmem_max")));
    assertEquals(value("congestion"), (await Deno.readTextFile("/proc/sys/net/ipv4/tcp_congestion_control")).trim());
  }
  assertEquals(names(local.path), []);
});

Deno.test("fsh doctor says what is missing here: no socket options, a folder that is not there", async () => {
  await using local = await scratch();
  const { code, out, err } = await fsh(["doctor", "--folder", `${local.path}/nowhere`], { env: { FSH_NATIVE: "off" } });
  assertEquals(code, 0, err);
  assertMatch(out, /^socket options +can't be set$/m);
  assertMatch(out, /^disk +.*nowhere: not found$/m);
  assertMatch(out, /^to do \(disk\): gets need a folder/m);
});

Deno.test("fsh doctor URL tries both directions, names what limits each, and leaves nothing on either side", async () => {
  await using server = await serving(64 * MIB);
  await using local = await scratch();
  const asked = ["--recv-buffer", "64K", "--keepalive", "idle=7,interval=3,count=2", "--nodelay", "off"];
  const { code, out, err } = await fsh(["doctor", ...QUICK, ...asked, server.url], { cwd: local.path });
  assertEquals(code, 0, err);
  assertMatch(out, /^get \/file: \d+(\.\d)? MiB in \d.*, .*\/s$/m);
  assertMatch(out, /^put \/: \d+(\.\d)? MiB in \d.*, .*\/s$/m);
  assertEquals(out.match(/^ {2}BOTTLENECK: (cpu|disk|server|network|window), on/gm)?.length, 2, out);
  assertEquals(names(local.path), []);
  assertEquals(names(server.folder), ["file"]);
  if (Deno.build.os !== "linux") return;
  if (quicEnds) return assertMatch(out, /^socket options and TCP's own figures: there are none over QUIC$/m);
  // Each option as it was asked for, and as the kernel has it: twice the buffer (socket(7)).
  assertMatch(out, /^recv-buffer +64\.0 KiB +128 KiB/m);
  assertMatch(out, /^keepalive +idle=7,interval=3,count=2 +idle=7,interval=3,count=2$/m);
  assertMatch(out, /^nodelay +off +off$/m);
  assertMatch(out, /round trip \d.* congestion window \d.* segments sent again/);
});

Deno.test("fsh doctor says which direction it could not try, and fails where it is both", async () => {
  await using server = await serving(8 * MIB, ["--read-only"]);
  // Time enough for the refusal to come, however busy the machine is.
  const half = await fsh(["doctor", ...QUICK, "--time", "3s", "--folder", server.folder, server.url]);
  assertEquals(half.code, 0, half.err);
  assertMatch(half.out, /^put: not tried: .*read-only/m);

  await Deno.truncate(`${server.folder}/file`, 0);
  const none = await fsh(["doctor", ...QUICK, "--folder", server.folder, `${server.url}file`]);
  assertEquals(none.code, 1);
  assertMatch(none.out, /^get: not tried: .*empty/m);
  assertStringIncludes(none.err, "nothing could be tried out");

  const missing = await fsh(["doctor", ...QUICK, `${server.url}missing`]);
  assertEquals(missing.code, 5);
  assertStringIncludes(missing.err, "missing: not found");
});

Deno.test({
  name: "fsh doctor says that a disk is full, on either side, and goes by what went before",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    await using server = await serving(8 * MIB);
    const here = await fsh(["doctor", ...QUICK, "--folder", disk.path, server.url]);
    assertEquals(here.code, 0, here.err);
    assertMatch(here.out, /^get: not tried: .*no space left/m);
    await using full = await ServerProcess.start({ folder: disk.path });
    await using local = await scratch();
    const there = await fsh(["doctor", ...QUICK, "--folder", local.path, full.url]);
    assertMatch(there.out, /^put(: not tried: .*no space left| \/: )/m);
    assertEquals([names(disk.path), names(local.path)], [[], []]);
    await full.stop();
  },
});

Deno.test("fsh doctor goes over TLS, too", async () => {
  await using local = await scratch();
  const env = { XDG_CONFIG_HOME: local.path };
  await using server = await ServerProcess.start({ args: ["--tls"], env });
  await Deno.writeFile(`${server.folder}/file`, new Uint8Array(8 * MIB));
  const { code, out, err } = await fsh(["doctor", ...QUICK, "--accept-new", "--folder", local.path, server.url], {
    env,
  });
  assertEquals(code, 0, err);
  assertEquals(out.match(/^ {2}BOTTLENECK: /gm)?.length, 2, out);
});

Deno.test("fsh doctor tells small files nothing, and refuses trials that would", async () => {
  await using server = await serving(1);
  const { out } = await fsh(["doctor", ...QUICK, "--folder", server.folder, server.url]);
  assertMatch(out, /^ {2}BOTTLENECK: unknown$/m);
  for (const wrong of [["--time", "off"], ["--time", "10ms"], ["--time", "1h"], ["--bytes", "10"]]) {
    const { code, err } = await fsh(["doctor", ...wrong, server.url]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, wrong.join(" "));
  }
});

Deno.test("fsh doctor works without the system's own figures", async () => {
  await using server = await serving(8 * MIB);
  const { code, out, err } = await fsh(["doctor", ...QUICK, "--json", "--folder", server.folder, server.url], {
    env: { FSH_NATIVE: "off" },
  });
  assertEquals(code, 0, err);
  const { options, get, put } = JSON.parse(out);
  assertEquals([options, get.measures.tcp, put.measures.tcp], [null, null, null]);
  assert(get.measures.rate > 0 && put.measures.rate > 0, out);
});

Deno.test("fsh doctor that is interrupted ends with 130, and leaves nothing on either side", async () => {
  await using server = await serving(64 * MIB);
  await using local = await scratch();
  const child = spawnFsh(["doctor", "--time", "1m", "--bytes", "1T", server.url], { cwd: local.path });
  await server.logged(/session opened/);
  await new Promise((resolve) => setTimeout(resolve, 700));
  child.kill("SIGINT");
  assertEquals((await child.output()).code, 130);
  await eventually("the server to notice", 5000, () => /session ended/.test(server.log));
  assertEquals(names(local.path), []);
  assertEquals(names(server.folder), ["file"]);
});
