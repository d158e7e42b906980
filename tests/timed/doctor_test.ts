import { assertEquals } from "@std/assert";
import { FarHosts } from "../support/far_hosts.ts";
import { TwoHosts } from "../support/namespaces.ts";
import { FSH, names, ServerProcess } from "../support/program.ts";
import { ramFolder } from "../support/ram.ts";
import { SlowDisk } from "../support/slow_disk.ts";

const MIB = 1024 * 1024;
/** What comes must not wait for a disk that others use, nor what goes. */
const IN_MEMORY = 1024 * MIB;
const NOT_FLUSHED = ["--durability", "none"];

/** Before all but the program whose CPU is to be short: other tests and programs must not stage a case of their own. */
const FIRST = ["nice", "-n", "-15"];

/** One direction; no verdict where it was not tried. */
interface Found {
  readonly verdict?: { readonly bottleneck: string; readonly where: string };
}

/** Runs `fsh doctor` behind other words, and answers what it found. */
async function doctor(
  before: readonly string[],
  args: readonly string[],
): Promise<{ get: Found; put: Found }> {
  const [program = FSH, ...rest] = [...before, FSH, "doctor", "--json", "--time", "1s", "--bytes", "256M", ...args];
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: rest,
    env: { FSH_LOG: "", FSH_URL: "" },
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const found = JSON.parse(new TextDecoder().decode(stdout));
  return found;
}

/** Fails with all that was measured unless the bottleneck and its place are these. */
function assertFound(found: Found, expected: string): void {
  const { bottleneck, where } = found.verdict ?? {};
  assertEquals(`${bottleneck} ${where}`, expected, JSON.stringify(found));
}

Deno.test({
  name: "fsh doctor finds a throttled network",
  ignore: !TwoHosts.available(),
  async fn() {
    await using hosts = await TwoHosts.create();
    await using server = await serverOn(hosts);
    await using local = await ramFolder(IN_MEMORY);
    for (const side of [hosts.onServer, hosts.onClient]) {
      const [program = "", ...words] = side;
      const tbf = ["tc", "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "100mbit", "burst", "64kb"];
      const args = [...words, ...tbf, "latency", "50ms"];
      assertEquals((await new Deno.Command(program, { args }).output()).success, true);
    }
    const { get, put } = await doctor([...hosts.onClient, ...FIRST], ["--folder", local.path, server.url]);
    assertFound(get, "network between");
    assertFound(put, "network between");
    assertEquals(names(local.path), []);
    assertEquals(names(server.folder), ["file"]);
  },
});

Deno.test({
  name: "fsh doctor finds a slow disk, on this side and on the server",
  ignore: !SlowDisk.available(),
  async fn() {
    await using disk = await SlowDisk.create({
      size: 700 * MIB,
      rate: 20 * MIB,
      fill: { name: "file", size: 100 * MIB },
    });
    {
      await using server = await ServerProcess.start({ command: [...FIRST, FSH], args: ["--read-only"] });
      await sparse(`${server.folder}/file`, 1024 * MIB);
      const { get } = await doctor([...disk.within, ...FIRST], ["--folder", disk.path, server.url]);
      assertFound(get, "disk here");
      assertEquals(names(disk.path), ["file", "lost+found"]);
    }
    await using server = await ServerProcess.start({ command: [...disk.within, ...FIRST, FSH], folder: disk.path });
    await using local = await ramFolder(IN_MEMORY);
    try {
      const { get, put } = await doctor(FIRST, ["--folder", local.path, server.url]);
      assertFound(get, "disk there");
      assertFound(put, "disk there");
      assertEquals(names(disk.path), ["file", "lost+found"]);
    } finally {
      await server.stop("SIGKILL");
    }
  },
});

Deno.test({
  name: "fsh doctor finds a window that is too small for a long round trip",
  ignore: !FarHosts.available(),
  async fn() {
    await using hosts = await FarHosts.create({ delay: 20 });
    await using server = await serverOn(hosts);
    await using local = await ramFolder(IN_MEMORY);
    const small = ["--recv-buffer", "128K", "--send-buffer", "128K"];
    const { get, put } = await doctor([...hosts.onClient, ...FIRST], [...small, "--folder", local.path, server.url]);
    assertFound(get, "window here");
    assertFound(put, "window here");
  },
});

Deno.test({
  name: "fsh doctor finds a CPU that others use",
  ignore: !TwoHosts.available(),
  async fn() {
    // Two hosts, as all of one machine would be busy.
    await using hosts = await TwoHosts.create();
    await using server = await serverOn(hosts);
    await using local = await ramFolder(IN_MEMORY);
    await using _hogs = hogs(3);
    const onFirst = [...hosts.onClient, "taskset", "-c", "0"];
    // What the scheduler gives in three seconds is chance now and then: the first two tries may fail.
    for (let left = 3;; left--) {
      const { get, put } = await doctor(onFirst, ["--folder", local.path, server.url]);
      try {
        assertFound(get, "cpu here");
        assertFound(put, "cpu here");
        break;
      } catch (error) {
        if (left === 1) throw error;
      }
    }
  },
});

/** A server on the one of two hosts, with a file that is large enough. */
async function serverOn(hosts: TwoHosts | FarHosts): Promise<ServerProcess> {
  const server = await ServerProcess.start({
    command: [...hosts.onServer, ...FIRST, FSH],
    args: ["--host", hosts.serverAddress, "--insecure", ...NOT_FLUSHED],
  });
  await sparse(`${server.folder}/file`, 1024 * MIB);
  return server;
}

/** Programs that keep the first CPU busy. */
function hogs(count: number): AsyncDisposable {
  const children = Array.from(
    { length: count },
    () => new Deno.Command("taskset", { args: ["-c", "0", "sh", "-c", "while :; do :; done"] }).spawn(),
  );
  return {
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.status));
    },
  };
}

async function sparse(path: string, size: number): Promise<void> {
  await Deno.writeFile(path, new Uint8Array());
  await Deno.truncate(path, size);
}
