import { walk } from "@std/fs";
import { join, relative } from "@std/path";
import { toText } from "@std/streams";
import { randomBytes } from "node:crypto";
import { equalBytes } from "../../lib/base/bytes.ts";
import { partFiles } from "./old_file.ts";
import { eventually, type Outcome, type ServerProcess, spawnFsh } from "./program.ts";
import { Proxy } from "./proxy.ts";
import type { Random } from "./random.ts";

/** Bytes per second of the link that is cut, so that a cut hits something. */
const RATE = 20_000_000;
/** Milliseconds after which a client counts as hung. */
const HUNG = 120_000;
const SIZES = [0, 5, 4096, 100_000, 900_000, 3_000_000, 12_000_000];

const FAULTS = ["none", "none", "cut", "SIGKILL", "SIGINT"] as const;
type Fault = typeof FAULTS[number];

/** A transfer of fresh content, and how to tell that it went well. */
interface Job {
  readonly direction: "get" | "put";
  readonly tree: boolean;
  readonly source: string;
  readonly target: string;
  readonly args: (url: string, ...options: string[]) => string[];
}

/** One user of the server, who does one thing after the other in a folder of their own on each side. */
export class SoakClient implements AsyncDisposable {
  /** How often each kind of thing was done. */
  readonly done = new Map<string, number>();
  /** How often something went wrong; what it was is told at once. */
  problems = 0;
  readonly #server: ServerProcess;
  readonly #name: string;
  readonly #local: string;
  readonly #remote: string;
  readonly #random: Random;
  readonly #proxy: Proxy;
  /** Part files that were told of. */
  readonly #left = new Set<string>();

  constructor(server: ServerProcess, options: { name: string; local: string; random: Random }) {
    this.#server = server;
    this.#name = options.name;
    this.#random = options.random;
    this.#local = join(options.local, options.name);
    this.#remote = join(server.folder, options.name);
    this.#proxy = new Proxy(server.port, { rate: RATE });
    for (const folder of [this.#local, this.#remote]) Deno.mkdirSync(folder);
  }

  /** Works until it is told to stop. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const kind = this.#random.chance(15) ? await this.#look() : await this.#transfer();
      this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
  }

  /** Commands that move no file. */
  async #look(): Promise<string> {
    const folder = `${this.#server.url}${this.#name}`;
    const file = `${this.#remote}/looked-at`;
    await Deno.writeFile(file, randomBytes(200_000));
    await Deno.copyFile(file, `${this.#local}/looked-at`);
    await this.#expect(["ls", "-lR", folder]);
    await this.#expect(["stat", `${folder}/looked-at`]);
    await this.#expect(["verify", `${this.#local}/looked-at`, `${folder}/looked-at`]);
    await this.#expect(["mkdir", `${folder}/new`]);
    await this.#expect(["mv", `${folder}/looked-at`, `${folder}/new/`]);
    await this.#expect(["rm", "-r", `${folder}/new`]);
    return "looked around";
  }

  async #transfer(): Promise<string> {
    const job = await this.#prepare();
    const fault = this.#random.pick(FAULTS);
    const what = `${job.direction} of a ${job.tree ? "tree" : "file"}, ${fault === "none" ? "undisturbed" : fault}`;
    if (fault === "none") await this.#expect(job.args(this.#server.url));
    else await this.#disturbed(job, fault);
    if (!await sameBelow(job.source, job.target)) this.#problem(`${what}: ${job.target} differs from its source`);
    const left = () => [...partFiles(this.#local), ...partFiles(this.#remote)].filter((part) => !this.#left.has(part));
    await eventually("no part file", 3000, () => left().length === 0).catch(() => {
      this.#problem(`${what}: ${left().length} part files are left, as ${left()[0]}`);
      for (const part of left()) this.#left.add(part);
    });
    return what;
  }

  #problem(text: string): void {
    this.problems++;
    console.log(`${this.#name}: ${text}`);
  }

  /** Has a transfer go wrong in the middle, and lets it be completed. */
  async #disturbed(job: Job, fault: Exclude<Fault, "none">): Promise<void> {
    const { code: ended, err } = await this.#run(job.args(this.#proxy.url), async (child) => {
      for (let times = 1 + this.#random.below(fault === "cut" ? 3 : 1); times > 0; times--) {
        await new Promise((resolve) => setTimeout(resolve, 40 + this.#random.below(600)));
        if (fault === "cut") this.#proxy.cut();
        else kill(child, fault);
      }
    });
    const allowed = { cut: [0, 3], SIGKILL: [0, 137], SIGINT: [0, 130] }[fault];
    if (!allowed.includes(ended)) this.#problem(`${fault}: exit status ${ended}: ${err.slice(-500)}`);
    if (ended === 0) return;
    await this.#expect(job.args(this.#server.url, "--resume"));
  }

  /** Writes fresh content at the source; what an earlier transfer moved is still at the target, or not. */
  async #prepare(): Promise<Job> {
    const direction = this.#random.pick(["get", "put"] as const);
    const tree = this.#random.chance(30);
    const [from, to] = direction === "get" ? [this.#remote, this.#local] : [this.#local, this.#remote];
    const name = tree ? "tree" : "file";
    const [source, target] = [`${from}/${name}-source`, `${to}/${name}-target`];
    if (tree) await this.#plant(source, target);
    else await Deno.writeFile(source, randomBytes(this.#random.pick(SIZES)));
    if (!tree && this.#random.chance(50)) await Deno.remove(target).catch(() => {});
    const remote = `${this.#name}/${direction === "get" ? `${name}-source` : `${name}-target`}`;
    return {
      direction,
      tree,
      source,
      target,
      args: (url, ...options) => {
        const flags = [...(tree ? ["-r"] : []), ...options];
        return direction === "get"
          ? ["get", "--force", ...flags, url + remote, target]
          : ["put", ...flags, source, url + remote];
      },
    };
  }

  /** A new tree at the source, nothing at the target. */
  async #plant(source: string, target: string): Promise<void> {
    for (const folder of [source, target]) await Deno.remove(folder, { recursive: true }).catch(() => {});
    await Deno.mkdir(`${source}/deep/deeper`, { recursive: true });
    await Deno.mkdir(`${source}/empty`);
    for (let i = 20 + this.#random.below(150); i > 0; i--) {
      await Deno.writeFile(`${source}/${this.#random.pick(["", "deep/", "deep/deeper/"])}${i}`, randomBytes(i * 200));
    }
    await Deno.writeFile(`${source}/deep/large`, randomBytes(this.#random.pick(SIZES)));
  }

  /** Runs a command that must succeed. */
  async #expect(args: readonly string[]): Promise<void> {
    const { code, err } = await this.#run(args);
    if (code !== 0) this.#problem(`fsh ${args.join(" ")}: exit status ${code}: ${err.slice(-500)}`);
  }

  async #run(
    args: readonly string[],
    meanwhile?: (child: Deno.ChildProcess) => Promise<void>,
  ): Promise<Omit<Outcome, "out">> {
    const child = spawnFsh(args);
    const timer = setTimeout(() => {
      this.#problem(`fsh ${args.join(" ")}: has not ended for ${HUNG / 1000} s`);
      kill(child, "SIGKILL");
    }, HUNG);
    const [{ code }, err] = await Promise.all([
      child.status,
      toText(child.stderr),
      toText(child.stdout),
      meanwhile?.(child),
    ]);
    clearTimeout(timer);
    return { code, err };
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It had finished before.
  }
}

/** Whether two files, or all that is below two folders, are the same. */
async function sameBelow(one: string, other: string): Promise<boolean> {
  const [ours, theirs] = [await contentsBelow(one), await contentsBelow(other)];
  if (ours.size !== theirs.size) return false;
  for (const [path, isFile] of ours) {
    if (theirs.get(path) !== isFile) return false;
    if (isFile && !equalBytes(await Deno.readFile(join(one, path)), await Deno.readFile(join(other, path)))) {
      return false;
    }
  }
  return true;
}

/** Paths below a folder, or "" for a file alone, and whether each is a file. Part files are looked for elsewhere. */
async function contentsBelow(root: string): Promise<Map<string, boolean>> {
  const found = new Map<string, boolean>();
  try {
    for await (const { path, isFile } of walk(root)) {
      if (!path.includes(".fsh-part-")) found.set(relative(root, path), isFile);
    }
  } catch {
    // Nothing is there, which differs from whatever should be.
  }
  return found;
}
