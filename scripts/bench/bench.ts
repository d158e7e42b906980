// fsh against its peers over loopback, paired in one run: medians, ratios, and whether they reach what was promised.
//
//   scripts/deno task bench [--rounds 5] [--size 1024] [--files 10000] [--folder DIR] [--only NAME,...] [--json FILE]
//
// --size is in MiB; --folder names the disk to measure on. Linux only. Peers that are missing are left out:
//
//   apt-get install rsync nginx-light vsftpd openssh-server curl iperf3 netcat-openbsd
import { parseArgs } from "@std/cli/parse-args";
import { FSH } from "../../tests/support/program.ts";
import { serverCpu } from "./cpu.ts";
import { farFile, farGetTree, farPutTree } from "./far.ts";
import { hookedGet, hookedRequests } from "./hooks.ts";
import { getFile, getToNull, putFile } from "./files.ts";
import { type Comparison, measure, type Result, table } from "./measure.ts";
import { Peers } from "./peers.ts";
import { catchInterrupts, Interrupted, output } from "./processes.ts";
import { quicToNull } from "./quic.ts";
import { tlsGet, tlsToNull } from "./tls.ts";
import { getTree, putTree } from "./trees.ts";
import { workers } from "./workers.ts";
import { Workspace } from "./workspace.ts";

const COMPARISONS: Readonly<Record<string, (peers: Peers) => Promise<Comparison>>> = {
  "get": getFile,
  "null": getToNull,
  "put": putFile,
  "get-tree": getTree,
  "put-tree": putTree,
  "far-get-tree": farGetTree,
  "far-put-tree": farPutTree,
  "far-file": farFile,
  "cpu": serverCpu,
  "tls": tlsGet,
  "tls-null": tlsToNull,
  "quic-null": quicToNull,
  "hooked-get": hookedGet,
  "hooked-requests": hookedRequests,
  "workers": workers,
};

interface Options {
  readonly rounds: number;
  readonly size: number;
  readonly files: number;
  readonly folder?: string;
  readonly only: readonly string[];
  readonly json?: string;
}

const options = read(Deno.args);
catchInterrupts();
try {
  Deno.exitCode = await bench(options) ? 0 : 1;
} catch (error) {
  if (!(error instanceof Interrupted)) throw error;
  console.error("interrupted; everything is cleared away");
  Deno.exitCode = 130;
}

/** Answers whether every contender did its work; a missed target is no failure. */
async function bench({ rounds, only, json, ...sizes }: Options): Promise<boolean> {
  await using work = await Workspace.make(sizes);
  const machine = await describe();
  console.log(
    `${machine.fsh} on ${machine.cores} cores, Linux ${machine.kernel}; medians of ${rounds}, process start included`,
  );
  const results: Result[] = [];
  for (const name of only) {
    const prepare = COMPARISONS[name];
    if (!prepare) continue;
    await using peers = new Peers(work);
    const comparison = await prepare(peers);
    const result = await measure(comparison, rounds, work.reset(comparison.writes));
    console.log(`\n${table(result)}`);
    results.push(result);
    // Each is kept at once: a long run may be interrupted.
    if (json !== undefined) {
      const whole = {
        machine,
        options: { rounds, size: work.size, files: work.files },
        skipped: work.skipped,
        results,
      };
      await Deno.writeTextFile(json, JSON.stringify(whole, null, 2) + "\n");
    }
  }
  return results.every(({ failures }) => failures.length === 0);
}

async function describe() {
  return {
    date: new Date().toISOString(),
    fsh: (await output(FSH, "version")).split("\n")[0] ?? "",
    cores: navigator.hardwareConcurrency,
    memory: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
    kernel: Deno.osRelease(),
    architecture: Deno.build.arch,
  };
}

function read(args: readonly string[]): Options {
  const known = ["rounds", "size", "files", "folder", "only", "json"];
  const parsed = parseArgs(args, {
    string: known,
    unknown: (argument) => usage(`${argument} is not known`),
  });
  const number = (name: string, fallback: number) => {
    const value = parsed[name] === undefined ? fallback : Number(parsed[name]);
    return Number.isInteger(value) && value > 0 ? value : usage(`--${name} takes a whole number`);
  };
  const text = (name: string) => typeof parsed[name] === "string" ? { [name]: parsed[name] } : {};
  const only = String(parsed.only ?? Object.keys(COMPARISONS)).split(",");
  for (const name of only) {
    if (!Object.hasOwn(COMPARISONS, name)) usage(`--only takes some of ${Object.keys(COMPARISONS).join(",")}`);
  }
  return {
    rounds: number("rounds", 5),
    size: number("size", 1024),
    files: number("files", 10_000),
    only,
    ...text("folder"),
    ...text("json"),
  };
}

function usage(problem: string): never {
  console.error(`bench: ${problem}`);
  Deno.exit(2);
}
