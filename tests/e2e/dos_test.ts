import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { type PatternName, PATTERNS, VICTIM } from "../support/attack/patterns.ts";
import { Attack, type Damage } from "../support/attackers.ts";
import { type Done, work } from "../support/honest_client.ts";
import { currentMemory, eventually, fsh, peakMemory, ServerProcess } from "../support/program.ts";

/** FSH_LONG=1: what the project promises. Otherwise a look at whether it might still be kept. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const ATTACKERS = LONG ? 500 : 100;
const SECONDS = LONG ? 30 : 3;
/** Of undisturbed throughput. */
const SHARE = LONG ? 0.5 : 0.3;
const NAMES = LONG ? 1_000_000 : 20_000;
const SIZE = 512 * 1024 * 1024;
const HUGE = 50_000_000_000;
/** Milliseconds after the attack until nothing of it may be left. */
const AFTER = 10_000;

async function victim(): Promise<ServerProcess> {
  const server = await ServerProcess.start({ args: ["--durability", "none", "--handshake-timeout", "5s"] });
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
    for (const pattern of Object.keys(PATTERNS) as PatternName[]) {
      if (only && !only.split(",").some((part) => pattern.includes(part))) continue;
      await t.step(pattern, async () => {
        await using server = await victim();
        if (pattern === "huge listings") fillFolder(`${server.folder}${VICTIM.folder}`);
        // Until the runtime has compiled what is hot, and the server knows the file.
        await work(server.url, { size: SIZE, seconds: 1 });
        const { rate } = await work(server.url, { size: SIZE, seconds: LONG ? 10 : SECONDS });
        const [descriptors, before] = [server.descriptors(), currentMemory(server.pid)];
        const { done, damage } = await attack(server, pattern);
        const ended = performance.now();
        const freed = await eventually("all to be freed", AFTER, () => server.descriptors() <= descriptors)
          .then(() => performance.now() - ended, (error) => error);
        const after = currentMemory(server.pid);
        console.log(row(pattern, { done, damage, rate, before, after, freed, server }));
        if (freed instanceof Error) throw freed;
        assertEquals(done.failures, []);
        assertGreaterOrEqual(done.rate / rate, SHARE);
        assert((await fsh(["ls", server.url])).code === 0);
        assertLessOrEqual(server.log.length, 4_000_000, "the log grows with the attack");
      });
    }
  },
});

function row(
  pattern: PatternName,
  of: {
    done: Done;
    damage: Damage;
    rate: number;
    before: number;
    after: number;
    freed: number | Error;
    server: ServerProcess;
  },
): string {
  const { done, damage, rate, before, after, freed, server } = of;
  return [
    pattern.padEnd(21),
    `${(done.rate / rate).toFixed(2)} of ${(rate / 1e6).toFixed(0)} MB/s`,
    `ls ${done.slowest.toFixed(0)} ms`,
    `MiB ${before.toFixed(0)}..${peakMemory(server.pid).toFixed(0)}..${after.toFixed(0)}`,
    freed instanceof Error ? freed.message : `freed ${freed.toFixed(0)} ms`,
    `connections ${damage.connections} (${damage.greeted} in, ${damage.lost} lost)`,
    `sent ${(damage.sent / 1e6).toFixed(1)} MB got ${(damage.received / 1e6).toFixed(1)} MB`,
    `log ${(server.log.length / 1000).toFixed(0)} kB`,
  ].join(" | ");
}
