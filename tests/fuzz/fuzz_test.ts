import { assert, assertEquals } from "@std/assert";
import type { ErrorName } from "../../lib/base/errors.ts";
import { CodecTarget, type Tally } from "./codec_target.ts";
import { EngineTarget } from "./engine_target.ts";
import seeds from "./seeds.json" with { type: "json" };

/** Sequences in all: FSH_FUZZ sets another number. */
const TOTAL = Number(Deno.env.get("FSH_FUZZ") ?? 1_000_000);
/** Where the seeds begin: FSH_FUZZ_SEED looks elsewhere. */
const FIRST = Number(Deno.env.get("FSH_FUZZ_SEED") ?? 1_000_000);
/** One in so many goes to a whole engine, all others to splitter and codec. */
const ENGINE_SHARE = 12;
/** The memory that a run may take on top, in bytes; a leak of a kilobyte per sequence is far more. */
const MEMORY = 400 * 1024 * 1024;

/** Runs one seed; says which one it was if it fails, and where to keep it. */
async function attempt(target: "codec" | "engine", seed: number, run: (seed: number) => void | Promise<void>) {
  const begun = performance.now();
  try {
    await run(seed);
  } catch (cause) {
    throw new Error(`${target} seed ${seed} failed; keep it in tests/fuzz/seeds.json`, { cause });
  }
  const ms = performance.now() - begun;
  if (ms > 5000) throw new Error(`${target} seed ${seed} took ${ms} ms; keep it in tests/fuzz/seeds.json`);
}

function memory(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Errors that a run of some length cannot miss: else the generator has lost its teeth. */
function assertSeen(tally: Tally, names: readonly ErrorName[]): void {
  assertEquals(names.filter((name) => !tally.errors.has(name)), []);
  assert(tally.frames > 0);
}

const WIRE_ERRORS = [
  "BAD_LENGTH",
  "UNKNOWN_FRAME",
  "WRONG_PHASE",
  "WRONG_SENDER",
  "BAD_CRC",
  "BAD_UTF8",
  "TRAILING_BYTES",
  "SHORT_FRAME",
  "BAD_FIELD",
  "BAD_HEADER",
  "BAD_STREAM",
] as const;

Deno.test("seeds that once failed pass", async () => {
  for (const seed of seeds.codec) await attempt("codec", seed, (seed) => new CodecTarget().run(seed));
  for (const seed of seeds.engine) {
    const target = await EngineTarget.start();
    await attempt("engine", seed, (seed) => target.run(seed));
    await target.close();
  }
});

Deno.test("splitter and codec take any bytes: frames, or an error of the table, in bounded memory", () => {
  const target = new CodecTarget();
  const before = memory();
  let most = 0;
  const count = TOTAL - Math.floor(TOTAL / ENGINE_SHARE);
  for (let i = 0; i < count; i++) {
    const seed = FIRST + i;
    const begun = performance.now();
    try {
      target.run(seed);
    } catch (cause) {
      throw new Error(`codec seed ${seed} failed; keep it in tests/fuzz/seeds.json`, { cause });
    }
    if (performance.now() - begun > 5000) throw new Error(`codec seed ${seed} took too long`);
    if (i % 10_000 === 0) most = Math.max(most, memory() - before);
  }
  if (count >= 100_000) assertSeen(target.tally, WIRE_ERRORS);
  assert(most < MEMORY, `${most} bytes more`);
});

Deno.test("a server's engine takes any bytes: it answers, or ends the session by an error of the table", async () => {
  const target = await EngineTarget.start();
  const before = memory();
  let most = 0;
  const count = Math.floor(TOTAL / ENGINE_SHARE);
  for (let i = 0; i < count; i++) {
    await attempt("engine", FIRST + i, (seed) => target.run(seed));
    if (i % 1000 === 0) most = Math.max(most, memory() - before);
  }
  if (count >= 20_000) assertSeen(target.tally, [...WIRE_ERRORS, "NOT_FOUND", "PATH_REJECTED", "BAD_VERSION"]);
  await target.close();
  assertEquals(target.openSessions, 0);
  assert(most < MEMORY, `${most} bytes more`);
});
