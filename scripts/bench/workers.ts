// What a second event loop brings where the server is the bottleneck: eight clients that have digests made, which costs
// the server much and them nothing.
import { join } from "@std/path";
import { Client } from "../../lib/client/client.ts";
import type { ServerProcess } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { throwIfInterrupted } from "./processes.ts";
import { bytesPerSecond } from "./workspace.ts";

const CLIENTS = 8;
/** Bytes of the file: little enough that what is not finished at the end hardly counts. */
const FILE = 8 * 1024 ** 2;
/** Milliseconds that are measured, and those before that. */
const MEASURED = 3_000;
const WARM = 300;

const TWO = "two workers";
const ONE = "one worker";

export async function workers(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await Deno.writeFile(join(work.served, "digested"), new Uint8Array(FILE).map((_, at) => at % 251));
  const serve = async (name: string, count: string): Promise<Contender> =>
    crowd(name, await peers.fsh("--workers", count), work.bytes);
  const contenders = [
    await serve(TWO, "2"),
    { ...await serve(ONE, "1"), rivals: [{ ours: TWO, atLeast: 1.3 }] },
  ];
  const title = `SHA-256 for ${CLIENTS} clients`;
  return { name: "workers", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}

/** Answers the seconds in which the server makes digests of so many bytes for all clients together. */
function crowd(name: string, { port }: ServerProcess, bytes: number): Contender {
  const sums = new Set<number>();
  return {
    name,
    async run() {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => enter(port)));
      let digested = 0;
      let over = false;
      const all = clients.map(async (client) => {
        while (!over) {
          sums.add((await client.hash("/digested", { algorithm: "sha256" })).size);
          digested += FILE;
        }
        await client.close();
      });
      await pause(WARM);
      const [before, begun] = [digested, performance.now()];
      await pause(MEASURED);
      const seconds = (performance.now() - begun) / 1000 * bytes / (digested - before);
      over = true;
      await Promise.all(all);
      throwIfInterrupted();
      return seconds;
    },
    check() {
      if (sums.size === 1 && sums.has(FILE)) return Promise.resolve();
      return Promise.reject(new Error(`digests of ${[...sums].join(", ")} bytes came`));
    },
  };
}

function enter(port: number): Promise<Client> {
  return Client.connect({ hostname: "127.0.0.1", port });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
