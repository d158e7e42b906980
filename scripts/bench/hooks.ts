// What plugins cost: a large get and many small ones, without plugins, with three sandboxed ones, and with their
// decisions cached.
import { join } from "@std/path";
import { FSH, type ServerProcess } from "../../tests/support/program.ts";
import { Client } from "../../lib/client/client.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { bytesPerSecond, draining, type Workspace } from "./workspace.ts";

const SMALL_FILES = 64;
const SMALL_BYTES = 1024;
const REQUESTS = 4000;
const AT_ONCE = 16;

const WITHOUT = "without plugins";
const WITH = "three plugins";
const AHEAD = "three plugins, asked ahead";
const CACHED = "three plugins, cached";

/** Paths are hidden, files refused by name, and by user. */
const HOOKS: Readonly<Record<string, string>> = {
  hider: `filterPath: (event) => event.path.startsWith("/private") ? null : event.path,`,
  namer: `authorize: (event) => event.path.endsWith(".key") ? { allow: false, reason: "keys stay here" } : undefined,`,
  keeper:
    `authorize: (event) => event.user?.name === "guest" && event.command !== "get" ? { allow: false } : undefined,`,
};

export async function hookedGet(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const source = join(work.served, "file");
  const get = (name: string, { url }: ServerProcess) =>
    draining({ name, source, command: [FSH, "get", "-q", `${url}file`, "-"] });
  const contenders = [
    get(WITH, await peers.fsh(...await plugins(work))),
    { ...get(WITHOUT, await peers.fsh()), rivals: [{ ours: WITH, atLeast: 0.95 }] },
  ];
  const title = `get ${work.size} MiB with plugins`;
  return { name: "hooked-get", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}

export async function hookedRequests(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  for (let i = 0; i < SMALL_FILES; i++) {
    await Deno.writeFile(join(work.served, `small-${i}`), new Uint8Array(SMALL_BYTES).fill(i));
  }
  const contenders = [
    small(WITH, await peers.fsh(...await plugins(work))),
    small(AHEAD, await peers.fsh(...await plugins(work, `ahead: ["filterPath", "authorize"],`))),
    small(CACHED, await peers.fsh(...await plugins(work, "cache: { filterPath: 60, authorize: 60 },"))),
    {
      ...small(WITHOUT, await peers.fsh()),
      rivals: [{ ours: WITH, atLeast: 0.6 }, { ours: AHEAD, atLeast: 0.6 }, { ours: CACHED, atLeast: 0.9 }],
    },
  ];
  const unit = { name: "requests/s", figure: (seconds: number) => REQUESTS / seconds };
  const title = `${REQUESTS} gets of 1 KiB, ${AT_ONCE} at once`;
  return { name: "hooked-requests", title, unit, writes: 0, contenders };
}

/** Options for a server with the three plugins, which declare what is said. */
async function plugins(work: Workspace, declared = ""): Promise<string[]> {
  const options: string[] = [];
  for (const [name, hook] of Object.entries(HOOKS)) {
    const file = join(work.settings, `${name}-${declared.slice(0, declared.indexOf(":"))}.ts`);
    await Deno.writeTextFile(file, `export default { name: "${name}", ${declared} hooks: { ${hook} } };\n`);
    options.push("--plugin", file);
  }
  return options;
}

function small(name: string, server: ServerProcess): Contender {
  let bytes = 0;
  return {
    name,
    async prepare() {
      await burst(server, REQUESTS / 4);
    },
    async run() {
      const result = await burst(server, REQUESTS);
      bytes = result.bytes;
      return result.seconds;
    },
    check() {
      if (bytes === REQUESTS * SMALL_BYTES) return Promise.resolve();
      return Promise.reject(new Error(`${bytes} bytes came`));
    },
  };
}

/** So many small gets in one session; the connection is made before the clock starts. */
async function burst({ port }: ServerProcess, requests: number): Promise<{ seconds: number; bytes: number }> {
  await using client = await Client.connect({ hostname: "127.0.0.1", port });
  let bytes = 0;
  let next = 0;
  const begun = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < requests) {
      const path = `/small-${next++ % SMALL_FILES}`;
      await client.get(path, { open: () => (chunk) => void (bytes += chunk.length) });
    }
  }));
  return { seconds: (performance.now() - begun) / 1000, bytes };
}
