// What a second event loop brings where the server is the bottleneck: eight clients that have text compressed for them,
// which costs the server several times what it costs them.
import { join } from "@std/path";
import { FSH, type ServerProcess } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { start, stop, throwIfInterrupted } from "./processes.ts";
import { bytesPerSecond } from "./workspace.ts";

const CLIENTS = 8;
/** Seconds that are measured, after those in which the clients start. */
const MEASURED = 5;
const WARM = 1.5;
/** Bytes of the text: more than a client gets within a run. */
const TEXT = 512 * 1024 ** 2;

const TWO = "two workers";
const ONE = "one worker";

export async function workers(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await writeText(join(work.served, "text"));
  const serve = async (name: string, count: string): Promise<Contender> => {
    return crowd(name, await peers.fsh("--workers", count, "--metrics", "0"), work.bytes);
  };
  const contenders = [
    await serve(TWO, "2"),
    { ...await serve(ONE, "1"), rivals: [{ ours: TWO, atLeast: 1.3 }] },
  ];
  const title = `${CLIENTS} clients, compressed gets (on the wire)`;
  return { name: "workers", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}

/** Answers the seconds in which so many bytes leave the server for all clients together. */
function crowd(name: string, server: ServerProcess, bytes: number): Contender {
  let sent = 0;
  return {
    name,
    async run() {
      const get = [FSH, "get", "-q", "--compress", "always", `${server.url}text`, "-"];
      const clients = Array.from({ length: CLIENTS }, () => start(["sh", "-c", 'exec "$@" > /dev/null', "sh", ...get]));
      try {
        await pause(WARM);
        const [before, begun] = [await sentBy(server), performance.now()];
        await pause(MEASURED);
        sent = await sentBy(server) - before;
        return (performance.now() - begun) / 1000 * bytes / sent;
      } finally {
        await Promise.all(clients.map((client) => stop(client)));
      }
    },
    check() {
      return sent > 0 ? Promise.resolve() : Promise.reject(new Error("nothing was sent"));
    },
  };
}

/** What the server says that it has sent in all. */
async function sentBy(server: ServerProcess): Promise<number> {
  throwIfInterrupted();
  const url = (await server.logged(/http:\/\/\S+\/metrics/)).trim();
  const page = await (await fetch(url)).text();
  return Number(/^fsh_bytes_total\{direction="out"\} (\S+)$/m.exec(page)?.[1] ?? 0);
}

/** Lines as a log has them. */
async function writeText(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  let at = 0;
  for (let block = 0; at < TEXT; block++) {
    const lines = Array.from({ length: 10_000 }, (_, line) => {
      const number = Math.imul(block * 10_000 + line, 2654435761) >>> 0;
      return `2026-01-31T09:${line % 60}:${number % 60}Z info done session=${
        number % 997
      } path=/f/${number} bytes=${line}\n`;
    });
    const bytes = new TextEncoder().encode(lines.join(""));
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    at += bytes.length;
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
