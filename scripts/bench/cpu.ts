// What a byte costs the server: CPU seconds per GiB sent, with zero copy and without.
import { join } from "@std/path";
import { FSH, type ServerProcess } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { cpuSeconds, run } from "./processes.ts";
import { draining } from "./workspace.ts";

/** Gets per measurement: the kernel counts in ticks of 10 ms. */
const GETS = 3;

export async function serverCpu(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const contenders = [measured("zero copy", await peers.fsh())];
  try {
    const copying = await peers.fsh("--no-zero-copy");
    contenders.push({ ...measured("copying", copying), rivals: [{ ours: "zero copy", atMost: 0.6 }] });
  } catch (error) {
    work.skip(`CPU without zero copy: ${error instanceof Error ? error.message.trim() : error}`);
  }
  const unit = { name: "CPU s/GiB", figure: (seconds: number) => seconds * 2 ** 30 / work.bytes };
  return { name: "cpu", title: `server's CPU for ${work.size} MiB`, unit, writes: 0, contenders };

  function measured(name: string, server: ServerProcess): Contender {
    const command = [FSH, "get", "-q", `${server.url}file`, "-"];
    const source = join(work.served, "file");
    let warm = false;
    return {
      ...draining({ name, source, command }),
      async prepare() {
        // A new process has yet to compile its code.
        for (let i = 0; i < GETS && !warm; i++) await run(...command);
        warm = true;
      },
      async run() {
        const before = cpuSeconds(server.pid);
        for (let i = 0; i < GETS; i++) await run(...command);
        return (cpuSeconds(server.pid) - before) / GETS;
      },
    };
  }
}
