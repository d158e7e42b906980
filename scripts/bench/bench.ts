// fsh against a whole-file rsync daemon over loopback, paired in one run: medians and ratios.
//
//   scripts/deno task bench [--rounds 5] [--size 1024] [--folder DIR]     size in MiB
//
// rsync comes with every Linux distribution: apt-get install rsync
import { dirname, fromFileUrl, join } from "@std/path";
import { parseArgs } from "@std/cli/parse-args";

const fsh = join(dirname(dirname(dirname(fromFileUrl(import.meta.url)))), "dist", "fsh");
const args = parseArgs(Deno.args, { string: ["rounds", "size", "folder"] });
const rounds = Number(args.rounds ?? 5);
const mebibytes = Number(args.size ?? 1024);
const folder = await Deno.makeTempDir({ prefix: "fsh-bench-", ...(args.folder ? { dir: String(args.folder) } : {}) });
const served = join(folder, "served");
const source = join(folder, "source");
const copy = join(folder, "copy");

/** One way to move the file; what it makes is removed before each round. */
interface Contender {
  readonly name: string;
  readonly makes: string;
  readonly command: readonly string[];
}

await Deno.mkdir(served);
await fill(source, mebibytes);
await Deno.copyFile(source, join(served, "file"));
const fast = await startFsh(["--durability", "none"]);
const durable = await startFsh(["--durability", "file"]);
const rsync = await startRsync();

try {
  await compare("get into a file", [
    { name: "fsh", makes: copy, command: [fsh, "get", "-q", `${fast.url}file`, copy] },
    { name: "rsync -W", makes: copy, command: ["rsync", "-W", `${rsync.url}file`, copy] },
  ]);
  const made = join(served, "made");
  await compare("put", [
    { name: "fsh (durability none)", makes: made, command: [fsh, "put", "-q", source, `${fast.url}made`] },
    { name: "rsync -W", makes: made, command: ["rsync", "-W", source, `${rsync.url}made`] },
    { name: "fsh (durability file)", makes: made, command: [fsh, "put", "-q", source, `${durable.url}made`] },
  ]);
} finally {
  for (const server of [fast, durable, rsync]) await server.stop();
  await Deno.remove(folder, { recursive: true });
}

/** Runs all contenders in turn, round by round, and prints medians and their ratio to rsync's. */
async function compare(what: string, contenders: readonly Contender[]): Promise<void> {
  const seconds = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, makes, command } of contenders) {
      await Deno.remove(makes).catch(() => {});
      // Dirty pages of the one before must not slow the next.
      await run(["sync"]);
      await warm();
      const begun = performance.now();
      await run(command);
      seconds.get(name)?.push((performance.now() - begun) / 1000);
    }
  }
  const rsyncMedian = median(seconds.get("rsync -W") ?? []);
  console.log(`\n${what}, ${mebibytes} MiB, ${rounds} rounds, medians (process start included):`);
  for (const [name, times] of seconds) {
    const rate = Math.round(mebibytes * 1.048576 / median(times));
    const ratio = (rsyncMedian / median(times)).toFixed(2);
    console.log(`  ${name.padEnd(24)} ${String(rate).padStart(6)} MB/s  ${ratio} x rsync`);
  }
}

/**
 * Fills and frees as much of the page cache as a round needs. A virtual machine gets memory from its host only when it is
 * first touched, at a tenth of the speed; which contender happened to pay for that would decide the round.
 */
async function warm(): Promise<void> {
  const scratch = join(folder, "scratch");
  await run(["dd", "if=/dev/zero", `of=${scratch}`, "bs=1M", `count=${Math.ceil(mebibytes * 1.1)}`]);
  await Deno.remove(scratch);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

async function fill(path: string, mebibytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const chunk = new Uint8Array(1024 * 1024);
  for (let i = 0; i < mebibytes; i++) {
    for (let at = 0; at < chunk.length; at += 65536) crypto.getRandomValues(chunk.subarray(at, at + 65536));
    file.writeSync(chunk);
  }
}

async function run(command: readonly string[]): Promise<void> {
  const [program = "", ...rest] = command;
  const { success, stderr } = await new Deno.Command(program, { args: rest, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

async function startFsh(options: readonly string[]): Promise<Running> {
  const child = new Deno.Command(fsh, {
    args: ["serve", served, "--port", "0", "--json", ...options],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const { url } = JSON.parse(new TextDecoder().decode(value));
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
    },
  };
}

async function startRsync(): Promise<Running> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const config = join(folder, "rsyncd.conf");
  const settings = [
    `port = ${port}`,
    "address = 127.0.0.1",
    "use chroot = no",
    "[files]",
    `path = ${served}`,
    "read only = no",
    ...(Deno.uid() === 0 ? ["uid = root", "gid = root"] : []),
  ];
  await Deno.writeTextFile(config, settings.join("\n") + "\n");
  const child = new Deno.Command("rsync", {
    args: ["--daemon", "--no-detach", `--config=${config}`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    url: `rsync://127.0.0.1:${port}/files/`,
    async stop() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}
