// What each socket option does, measured with the compiled executable as the server: `scripts/deno run -A
// scripts/bench/tuning.ts [cork] [buffers] [backlog] [cpu]`, by default all. Prints tables in Markdown. Buffers need root.
import { Client } from "../../lib/client/client.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { DEFAULT_TUNING } from "../../lib/transport/tuning.ts";
import { FSH, ServerProcess } from "../../tests/support/program.ts";
import { othersBusy } from "./load.ts";
import { median } from "./measure.ts";
import { cpuSeconds, run } from "./processes.ts";

const MIB = 1024 * 1024;
const ROUNDS = 7;

function print(title: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  console.log(`\n${title}\n`);
  console.log(`| ${head.join(" | ")} |\n|${head.map((_, i) => i === 0 ? " --- " : " ---: ").join("|")}|`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
}

async function makeFile(path: string, bytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const piece = new Uint8Array(Math.min(bytes, MIB));
  for (let at = 0; at < piece.length; at += 65536) crypto.getRandomValues(piece.subarray(at, at + 65536));
  for (let at = 0; at < bytes; at += piece.length) await file.write(piece.subarray(0, bytes - at));
}

/** Runs each of several things in turn, over and over, and answers the median of what each answers. */
async function medians(things: readonly (() => Promise<number>)[], rounds = ROUNDS): Promise<number[]> {
  const values: number[][] = things.map(() => []);
  for (let i = 0; i < rounds; i++) {
    for (const [k, thing] of things.entries()) values[k]?.push(await thing());
  }
  return values.map(median);
}

/** `--nodelay`: segments from the server per request, and how long a request takes. */
async function cork(): Promise<void> {
  const GETS = 50;
  const modes = ["on", "cork", "off"] as const;
  const sizes = [["4 KiB", 4096], ["100 KiB", 102_400], ["1 MiB", MIB]] as const;
  await using stack = new AsyncDisposableStack();
  const clients: Client[] = [];
  for (const noDelay of modes) {
    const server = stack.use(await ServerProcess.start({ args: ["--nodelay", noDelay] }));
    for (const [name, bytes] of sizes) await makeFile(`${server.folder}/${name}`, bytes);
    const transport = new TcpTransport({ ...DEFAULT_TUNING, noDelay });
    clients.push(stack.use(await Client.connect({ hostname: "127.0.0.1", port: server.port }, { transport })));
  }
  const segments = (client: Client) => client.session.inspect()?.info.dataSegmentsReceived ?? NaN;
  const timed = (count: number, work: () => Promise<unknown>) => async () => {
    const begun = performance.now();
    for (let i = 0; i < count; i++) await work();
    return (performance.now() - begun) / count;
  };
  const get = (client: Client, name: string) => () => client.get(`/${name}`, { open: () => () => {} });
  const rows: string[][] = modes.map((mode) => [mode]);
  for (const [name] of sizes) {
    for (const client of clients) await timed(GETS, get(client, name))();
    const before = clients.map(segments);
    const times = await medians(clients.map((client) => timed(GETS, get(client, name))));
    clients.forEach((client, i) => {
      const each = (segments(client) - (before[i] ?? NaN)) / (GETS * ROUNDS);
      rows[i]?.push(each.toFixed(1), (times[i] ?? NaN).toFixed(2));
    });
  }
  const pings = await medians(clients.map((client) => timed(200, () => client.ping())));
  pings.forEach((time, i) => rows[i]?.push(time.toFixed(3)));
  const head = sizes.flatMap(([name]) => [`${name}: segments`, "ms"]);
  print("A get, and a PING, by `--nodelay` on both sides", ["--nodelay", ...head, "PING ms"], rows);
}

/** `--send-buffer` and `--recv-buffer` where the round trip is 40 ms. */
async function buffers(): Promise<void> {
  const BYTES = 16 * MIB;
  const [near, far] = [`fsh-near-${Deno.pid}`, `fsh-far-${Deno.pid}`];
  await using stack = new AsyncDisposableStack();
  for (const name of [near, far]) {
    await run("ip", "netns", "add", name);
    stack.defer(() => run("ip", "netns", "del", name));
    await run("ip", "-n", name, "link", "set", "lo", "up");
  }
  const script = new URL("far_link.ts", import.meta.url).pathname;
  const link = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", script, "20", near, "10.211.0.1", far, "10.211.0.2"],
    stdout: "piped",
  }).spawn();
  stack.defer(async () => {
    link.kill();
    await link.stdout.cancel();
    await link.status;
  });
  const said = link.stdout.getReader();
  await said.read();
  said.releaseLock();
  const sizes = ["64K", "256K", "1M", "4M", null];
  const things: (() => Promise<number>)[] = [];
  for (const size of sizes) {
    const options = size === null ? [] : ["--send-buffer", size, "--recv-buffer", size];
    const args = ["--host", "10.211.0.1", "--insecure", ...options];
    const server = stack.use(await ServerProcess.start({ command: ["ip", "netns", "exec", near, FSH], args }));
    await makeFile(`${server.folder}/file`, BYTES);
    things.push(async () => {
      const begun = performance.now();
      await run("ip", "netns", "exec", far, FSH, "get", "-q", ...options, `${server.url}file`, "-");
      return (performance.now() - begun) / 1000;
    });
  }
  const times = await medians(things, 3);
  const rows = sizes.map((size, i) => [size ?? "the system's", (BYTES / 1e6 / (times[i] ?? NaN)).toFixed(1)]);
  print(`A get of ${BYTES / MIB} MiB over 40 ms, by both buffers on both sides`, ["buffers", "MB/s"], rows);
}

/** `--backlog`: a thousand connections at once. */
async function backlog(): Promise<void> {
  const CONNECTIONS = 1000;
  const rows: (string | number)[][] = [];
  for (const size of ["16", "128", "511", "4096"]) {
    await using server = await ServerProcess.start({ args: ["--backlog", size, "--max-startups", "off"] });
    const times = await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
      const begun = performance.now();
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      return { connection, time: performance.now() - begun };
    }));
    for (const { connection } of times) connection.close();
    const sorted = times.map(({ time }) => time).sort((a, b) => a - b);
    const late = sorted.filter((time) => time > 900).length;
    rows.push([size, (sorted.at(-1) ?? NaN).toFixed(0), late]);
  }
  print(`${CONNECTIONS} connections at once, by \`--backlog\``, ["--backlog", "slowest, ms", "sent SYN again"], rows);
}

/** Zero copy: what a byte costs the server. */
async function cpu(): Promise<void> {
  const BYTES = 256 * MIB;
  const modes = [["zero copy", []], ["--no-zero-copy", ["--no-zero-copy"]]] as const;
  await using stack = new AsyncDisposableStack();
  const things: (() => Promise<number>)[] = [];
  for (const [, args] of modes) {
    const server = stack.use(await ServerProcess.start({ args }));
    await makeFile(`${server.folder}/file`, BYTES);
    const get = () => run(FSH, "get", "-q", `${server.url}file`, "-");
    await get();
    await get();
    things.push(async () => {
      const before = cpuSeconds(server.pid);
      for (let i = 0; i < 3; i++) await get();
      return (cpuSeconds(server.pid) - before) / (3 * BYTES / 2 ** 30);
    });
  }
  const seconds = await medians(things, 5);
  const rows = modes.map(([name], i) => [name, (seconds[i] ?? NaN).toFixed(2)]);
  print("The server's CPU for what it sends", ["", "s/GiB"], rows);
}

const ALL = { cork, buffers, backlog, cpu };
const wanted = Deno.args.length > 0 ? Deno.args : Object.keys(ALL);
const busy: number[] = [];
for (const [name, measure] of Object.entries(ALL)) {
  if (!wanted.includes(name)) continue;
  busy.push(await othersBusy());
  await measure();
}
console.log(`\nOther programs used ${Math.round(100 * median(busy))} % of the CPUs when this began.`);
