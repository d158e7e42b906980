import { LIMITS } from "../../lib/server/limits.ts";
import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { type PatternName, PATTERNS, VICTIM } from "../support/attack/patterns.ts";
import { Attack, type Damage } from "../support/attackers.ts";
import { type Done, work } from "../support/honest_client.ts";
import { currentMemory, eventually, fsh, peakMemory, ServerProcess } from "../support/program.ts";

/** FSH_LONG=1: what the project promises. Otherwise a look at whether it might still be kept, on whatever machine this is. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const ATTACKERS = LONG ? 500 : 100;
const SECONDS = LONG ? 30 : 2;
/** Of undisturbed throughput. */
const SHARE = LONG ? 0.5 : 0.2;
const NAMES = LONG ? 1_000_000 : 20_000;
/** Bytes of what the honest client gets. */
const SIZE = (LONG ? 2048 : 512) * 1024 * 1024;
const HUGE = 50_000_000_000;
/** Milliseconds after the attack until nothing of it may be left. */
const AFTER = 10_000;
/** Without FSH_LONG only those that once stopped everything. FSH_ATTACK, a part of a name, chooses. */
const USUAL: readonly PatternName[] = ["CANCEL flood", "compressed bombs", "hashes of huge files"];

async function victim(): Promise<ServerProcess> {
  const options = ["--json", "--durability", "none", "--handshake-timeout", "5s"];
  // The attackers' addresses are this machine's, whose lines are only counted where that is asked for.
  const server = await ServerProcess.start({ args: [...options, "--max-log-lines", LIMITS.logLines.default] });
  for (const [name, size] of [[VICTIM.file, SIZE], [VICTIM.huge, HUGE]] as const) {
    await Deno.writeFile(`${server.folder}${name}`, new Uint8Array());
    await Deno.truncate(`${server.folder}${name}`, size);
  }
  await Deno.mkdir(`${server.folder}/small`);
  for (let i = 0; i < 10; i++) await Deno.writeTextFile(`${server.folder}/small/${i}`, "small");
  return server;
}

function fillFolder(folder: string): void {
  Deno.mkdirSync(folder);
  for (let i = 0; i < NAMES; i++) Deno.openSync(`${folder}/${i}`, { write: true, create: true }).close();
}

async function attack(server: ServerProcess, pattern: PatternName): Promise<{ done: Done; damage: Damage }> {
  // The honest user comes when the attackers have been there for a moment, and leaves before them.
  await using attackers = new Attack({ pattern, port: server.port, attackers: ATTACKERS, seconds: SECONDS + 2 });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const done = await work(server.url, { size: SIZE, seconds: SECONDS });
  return { done, damage: await attackers.over() };
}

Deno.test({
  name: `${ATTACKERS} attackers for ${SECONDS} s leave an honest client its throughput, and nothing behind`,
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    const only = Deno.env.get("FSH_ATTACK");
    const chosen = (name: PatternName) => only ? name.includes(only) : LONG || USUAL.includes(name);
    for (const pattern of (Object.keys(PATTERNS) as PatternName[]).filter(chosen)) {
      await t.step(pattern, async () => {
        await using server = await victim();
        if (pattern === "huge listings") fillFolder(`${server.folder}${VICTIM.folder}`);
        // Until the runtime has compiled what is hot, and the server knows the file.
        await work(server.url, { size: SIZE, seconds: 1 });
        // A busy machine has a second chance.
        let share = 0;
        for (let attempt = 0; attempt < (LONG ? 1 : 2) && share < SHARE; attempt++) {
          share = await trial(server, pattern);
        }
        assertGreaterOrEqual(share, SHARE);
        const { code, err } = await fsh(["ls", server.url]);
        assertEquals(code, 0, err);
        assertLessOrEqual(server.log.length, LONG ? 20_000_000 : 4_000_000, "the log grows with the attack");
        assertLessOrEqual(peakMemory(server.pid), memoryBound(server));
      });
    }
  },
});

/** Works without the attackers and with them; answers how much of its throughput the honest client kept. */
async function trial(server: ServerProcess, pattern: PatternName): Promise<number> {
  const { rate } = await work(server.url, { size: SIZE, seconds: LONG ? 10 : SECONDS });
  const [descriptors, before] = [server.descriptors(), currentMemory(server.pid)];
  const { done, damage } = await attack(server, pattern);
  const ended = performance.now();
  await eventually("all to be freed", AFTER, () => server.descriptors() <= descriptors);
  const freed = performance.now() - ended;
  const after = currentMemory(server.pid);
  console.log(row(pattern, { done, damage, rate, before, after, freed, server }));
  if (LONG) assertEquals(done.failures, []);
  return done.rate / rate;
}

/** MiB that the server said it would need at the most; none where it says nothing of it. */
function memoryBound(server: ServerProcess): number {
  const event: Record<string, unknown> = JSON.parse(server.ready);
  const bound = Object.entries(event).find(([name]) => /memory/i.test(name))?.[1];
  return typeof bound === "number" ? bound / 1024 ** 2 : Infinity;
}

function row(
  pattern: PatternName,
  of: {
    done: Done;
    damage: Damage;
    rate: number;
    before: number;
    after: number;
    freed: number;
    server: ServerProcess;
  },
): string {
  const { done, damage, rate, before, after, freed, server } = of;
  return [
    pattern.padEnd(21),
    `${(done.rate / rate).toFixed(2)} of ${(rate / 1e6).toFixed(0)} MB/s`,
    `ls ${done.slowest.toFixed(0)} ms`,
    `MiB ${before.toFixed(0)}..${peakMemory(server.pid).toFixed(0)}..${after.toFixed(0)}`,
    `freed ${freed.toFixed(0)} ms`,
    `connections ${damage.connections} (${damage.greeted} in, ${damage.lost} lost)`,
    `sent ${(damage.sent / 1e6).toFixed(1)} MB got ${(damage.received / 1e6).toFixed(1)} MB`,
    `log ${(server.log.length / 1000).toFixed(0)} kB`,
  ].join(" | ");
}
