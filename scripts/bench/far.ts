// The same work over a round trip of 40 ms; the relays are processes of their own.
import { join } from "@std/path";
import { FSH } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { helper, run } from "./processes.ts";
import { bytesPerSecond, copying, draining, filesPerSecond } from "./workspace.ts";

/** Milliseconds each way. */
const DELAY = "20";

export async function farGetTree(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  const source = join(work.served, "tree");
  const command = (url: string) => [FSH, "get", "-q", "-r", `${url}tree`, work.copy];
  return await farTree(peers, { name: "far-get-tree", what: "get", source, makes: work.copy, command });
}

export async function farPutTree(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  const source = join(work.local, "tree");
  const command = (url: string) => [FSH, "put", "-q", "-r", source, `${url}made`];
  return await farTree(peers, { name: "far-put-tree", what: "put", source, makes: work.made, command });
}

async function farTree(
  peers: Peers,
  { name, what, source, makes, command }: {
    name: string;
    what: string;
    source: string;
    makes: string;
    command: (url: string) => string[];
  },
): Promise<Comparison> {
  const { work } = peers;
  await work.makeTree();
  const near = await peers.fsh("--durability", "none");
  const relay = async (delay: string) =>
    `fsh://127.0.0.1:${await peers.helper("delay_proxy.ts", `${near.port}`, delay)}/`;
  const ours = "fsh, 40 ms";
  const contenders = [
    copying({ name: ours, source, makes, command: command(await relay(DELAY)) }),
    // Half the rate is twice the time.
    copying({ name: "fsh, no delay", rivals: [{ ours, atLeast: 0.5 }], source, makes, command: command(near.url) }),
    copying({
      name: "fsh, a relay without delay",
      rivals: [{ ours }],
      source,
      makes,
      command: command(await relay("0")),
    }),
  ];
  const title = `${what} ${work.files} files over 40 ms`;
  return { name, title, unit: filesPerSecond(work.files), writes: work.treeBytes, contenders };
}

export async function farFile(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  const bytes = await work.makeHalf();
  const source = join(work.served, "half");
  const makes = work.copy;
  const near = await peers.fsh("--durability", "none");
  const far = await peers.helper("delay_proxy.ts", `${near.port}`, DELAY);
  const url = `fsh://127.0.0.1:${far}/half`;
  const raw = await peers.helper("raw_stream.ts", "serve", `${bytes}`);
  const farRaw = await peers.helper("delay_proxy.ts", `${raw}`, DELAY);
  const contenders: Contender[] = [
    copying({ name: "fsh", source, makes, command: [FSH, "get", "-q", url, makes] }),
    draining({ name: "fsh to null", source, command: [FSH, "get", "-q", url, "-"] }),
    {
      name: "raw TCP to null",
      rivals: [{ ours: "fsh", atLeast: 0.7 }, { ours: "fsh to null", atLeast: 0.7 }],
      run: () => run(...helper("raw_stream.ts", "read", `${farRaw}`, `${bytes}`)),
      // The reader itself fails if bytes are missing.
      check: () => Promise.resolve(),
    },
  ];
  const title = `get ${bytes / 1024 / 1024} MiB over 40 ms`;
  return { name: "far-file", title, unit: bytesPerSecond(bytes), writes: bytes, contenders };
}
