// One large file: into a file, to nowhere, and to a server.
import { join } from "@std/path";
import { FSH } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { tarPipe } from "./pipe.ts";
import { helper, output, run } from "./processes.ts";
import { startSftp } from "./sftp.ts";
import { bytesPerSecond, copying, draining, same } from "./workspace.ts";

export async function getFile(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const { copy: makes, served } = work;
  const source = join(served, "file");
  const { url } = await peers.fsh("--durability", "none");
  const contenders: Contender[] = [
    copying({ name: "fsh", source, makes, command: [FSH, "get", "-q", `${url}file`, makes] }),
  ];

  const rsync = await peers.rsync();
  if (rsync) {
    const rivals = [{ ours: "fsh", atLeast: 2.2 }];
    const command = ["rsync", "-W", `${rsync}file`, makes];
    contenders.push(copying({ name: "rsync -W", rivals, source, makes, command }));
  }
  const nginx = await peers.nginx();
  if (nginx) {
    const rivals = [{ ours: "fsh", atLeast: 3 }];
    const command = ["curl", "-sSf", "-o", makes, `${nginx}file`];
    contenders.push(copying({ name: "curl from nginx", rivals, source, makes, command }));
  }
  const sftp = await startSftp(peers);
  if (sftp) {
    const rivals = [{ ours: "fsh", atLeast: 6 }];
    const command = await sftp(`get "${source}" "${makes}"`);
    contenders.push(copying({ name: "sftp", rivals, source, makes, command }));
  }
  const tar = await tarPipe(peers, { folder: served, name: "file", makes, rivals: [{ ours: "fsh" }] });
  if (tar) contenders.push(tar);
  const bare = await peers.helper("raw_stream.ts", "serve", source);
  contenders.push(copying({
    name: "a bare stream, Deno's limit",
    rivals: [{ ours: "fsh" }],
    source,
    makes,
    command: helper("raw_stream.ts", "save", `${bare}`, makes),
  }));
  const limit = await iperf(peers);
  if (limit) contenders.push(limit);
  const title = `get ${work.size} MiB into a file`;
  return { name: "get", title, unit: bytesPerSecond(work.bytes), writes: work.bytes, contenders };
}

export async function getToNull(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const source = join(work.served, "file");
  const { url } = await peers.fsh("--durability", "none");
  const contenders = [draining({ name: "fsh", source, command: [FSH, "get", "-q", `${url}file`, "-"] })];
  const nginx = await peers.nginx();
  if (nginx) {
    const rivals = [{ ours: "fsh", atLeast: 1 }];
    contenders.push(draining({ name: "curl from nginx", rivals, source, command: ["curl", "-sSf", `${nginx}file`] }));
  }
  const limit = await iperf(peers);
  if (limit) contenders.push(limit);
  const title = `get ${work.size} MiB to null`;
  return { name: "null", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}

export async function putFile(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const { made: makes, local } = work;
  const source = join(local, "file");
  const fast = await peers.fsh("--durability", "none");
  const safe = await peers.fsh("--durability", "file");
  const put = (url: string) => [FSH, "put", "-q", source, `${url}made`];
  const [none, file, flush] = ["fsh, durability none", "fsh, durability file", "the disk's flush alone"] as const;
  const contenders: Contender[] = [
    copying({ name: none, source, makes, command: put(fast.url) }),
    copying({ name: file, source, makes, command: put(safe.url) }),
  ];

  const rsync = await peers.rsync();
  if (rsync) {
    const rivals = [{ ours: none, atLeast: 2.5 }];
    contenders.push(
      copying({ name: "rsync -W", rivals, source, makes, command: ["rsync", "-W", source, `${rsync}made`] }),
    );
  }
  const vsftpd = await peers.vsftpd();
  if (vsftpd) {
    const rivals = [{ ours: none, atLeast: 2.2 }];
    const command = ["curl", "-sSf", "-T", source, `${vsftpd}made`];
    contenders.push(copying({ name: "curl to vsftpd", rivals, source, makes, command }));
  }
  const sftp = await startSftp(peers);
  if (sftp) {
    const command = await sftp(`put "${source}" "${makes}"`);
    contenders.push(copying({ name: "sftp", rivals: [{ ours: none }], source, makes, command }));
  }
  contenders.push({
    name: flush,
    makes,
    prepare: () => run("dd", `if=${source}`, `of=${makes}`, "bs=1M"),
    async run() {
      using written = await Deno.open(makes, { write: true });
      await written.sync();
    },
    check: () => same(source, makes),
  });
  return {
    name: "put",
    title: `put ${work.size} MiB`,
    unit: bytesPerSecond(work.bytes),
    writes: work.bytes,
    contenders,
    conclude(medians) {
      const [without, durable, disk] = [medians.get(none), medians.get(file), medians.get(flush)];
      if (without === undefined || durable === undefined || disk === undefined) return null;
      const [adds, takes] = [durable - without, disk].map((seconds) => seconds.toFixed(2));
      const text = `durability file adds ${adds} s, the disk's own flush takes ${takes} s`;
      return { text, met: durable - without <= disk };
    },
  };
}

/** What the way itself lets through. */
async function iperf(peers: Peers): Promise<Contender | null> {
  const port = await peers.iperf3();
  if (port === null) return null;
  const { bytes } = peers.work;
  let sent = 0;
  return {
    name: "iperf3, the limit",
    rivals: [{ ours: "fsh" }],
    async run() {
      const report = await output("iperf3", "-c", "127.0.0.1", "-p", `${port}`, "-n", `${bytes}`, "--json");
      const { end }: Report = JSON.parse(report);
      sent = end.sum_sent.bytes;
      return bytes * 8 / end.sum_received.bits_per_second;
    },
    check: () => sent >= bytes ? Promise.resolve() : Promise.reject(new Error(`only ${sent} bytes were sent`)),
  };
}

/** What is of use in a report of iperf3. */
interface Report {
  readonly end: { readonly sum_sent: { readonly bytes: number }; readonly sum_received: { bits_per_second: number } };
}
