// Mixed load on a server for a long time: gets, puts, trees, connections that are cut, clients that are killed and go on
// afterwards. Exit status 1 if a file came out wrong, or if the server has a descriptor, a part file or a tenth of its
// memory more at the end than after the warm-up.
//
//   scripts/deno run -A scripts/soak.ts --seconds 1000 [--warm-up 60] [--clients 6] [--seed N]
import { parseArgs } from "@std/cli/parse-args";
import { currentMemory, eventually, scratch, ServerProcess } from "../tests/support/program.ts";
import { partFiles } from "../tests/support/old_file.ts";
import { Random } from "../tests/support/random.ts";
import { SoakClient } from "../tests/support/soak_client.ts";

/** Growth of the idle server's memory that still counts as none. */
const GROWTH = 1.1;
/** Milliseconds that the server is idle before it is looked at. */
const IDLE = 5_000;

interface State {
  readonly descriptors: number;
  readonly memory: number;
  readonly parts: readonly string[];
}

const options = parseArgs(Deno.args, { string: ["seconds", "warm-up", "clients", "seed"] });
const seconds = numberOf("seconds", 1000);
const warmUp = Math.min(numberOf("warm-up", 60), seconds / 2);
const seed = numberOf("seed", Date.now() % 1e9);
const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());

Deno.exit(await main() ? 0 : 1);

async function main(): Promise<boolean> {
  await using local = await scratch();
  await using server = await ServerProcess.start();
  await using resources = new AsyncDisposableStack();
  const clients: SoakClient[] = [];
  for (let i = 0; i < numberOf("clients", 6); i++) {
    const client = new SoakClient(server, { name: `client-${i}`, local: local.path, random: new Random(seed + i) });
    clients.push(resources.use(client));
  }
  console.log(`soak: ${clients.length} clients for ${seconds} s, seed ${seed}`);
  await load(clients, warmUp);
  const before = await idleState(server, local.path);
  show(`after ${warmUp} s`, before);
  await load(clients, seconds - warmUp);
  const after = await idleState(server, local.path);
  show(`after ${seconds} s`, after);

  const done = new Map<string, number>();
  for (const client of clients) {
    for (const [kind, times] of client.done) done.set(kind, (done.get(kind) ?? 0) + times);
  }
  for (const [kind, times] of [...done].sort()) console.log(`${String(times).padStart(8)}  ${kind}`);
  const left = compare(before, after);
  for (const problem of left) console.log(`soak: ${problem}`);
  const problems = clients.reduce((sum, client) => sum + client.problems, left.length);
  console.log(problems === 0 ? "soak: all files are equal, nothing is left behind" : `soak: ${problems} problems`);
  return problems === 0;
}

function numberOf(name: string, fallback: number): number {
  const given = Number(options[name] ?? fallback);
  if (!(given >= 0)) throw new Error(`--${name} ${options[name]} is not a number`);
  return given;
}

/** Has all clients work for some seconds. */
async function load(clients: readonly SoakClient[], time: number): Promise<void> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), time * 1000);
  const signal = AbortSignal.any([stop.signal, over.signal]);
  const outcomes = await Promise.allSettled(clients.map((client) => client.run(signal).finally(() => over.abort())));
  clearTimeout(timer);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/** What the server holds when nobody wants anything of it. */
async function idleState(server: ServerProcess, local: string): Promise<State> {
  await eventually("every session to end", 150_000, async () => {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return openSessions(server.log).size === 0;
  });
  await new Promise((resolve) => setTimeout(resolve, IDLE));
  return {
    descriptors: server.descriptors(),
    memory: currentMemory(server.pid),
    parts: [...partFiles(server.folder), ...partFiles(local)],
  };
}

/** Addresses of the clients whose sessions have begun and not ended, by the server's log. */
function openSessions(log: string): Set<string> {
  const open = new Set<string>();
  // One that was cut before it was ready has only an end.
  for (const [, event, remote = ""] of log.matchAll(/session (opened|ended) .*?remote=(\S+)/g)) {
    if (event === "opened") open.add(remote);
    else open.delete(remote);
  }
  return open;
}

function show(when: string, { descriptors, memory, parts }: State): void {
  console.log(`${when}: ${descriptors} descriptors, ${memory.toFixed(1)} MiB when idle, ${parts.length} part files`);
}

function compare(before: State, after: State): string[] {
  const problems: string[] = [];
  if (after.parts.length > 0) problems.push(`${after.parts.length} part files are left, as ${after.parts[0]}`);
  if (after.descriptors !== before.descriptors) {
    problems.push(`${before.descriptors} descriptors became ${after.descriptors}`);
  }
  if (after.memory >= before.memory * GROWTH) {
    problems.push(`${before.memory.toFixed(1)} MiB became ${after.memory.toFixed(1)}`);
  }
  return problems;
}
